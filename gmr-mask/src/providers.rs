//! The forms of tokens by their issuers. It only holds data.
//!
//! Prefixes, lengths and alphabets are facts of the rules of gitleaks 8.30 (`config/gitleaks.toml`,
//! the rules that need no keyword nearby) and of the issuers' own documentation. Lengths are lower
//! bounds: a token that was cut off is one, too.

use super::index::{Beginnings, Index, by_first_byte, firsts};

/// What must follow a prefix for it to mark a token.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Anything: nothing else has this prefix.
    Any,
    /// More characters than a word has, with a digit or a capital: other text has this prefix too.
    Mixed,
    /// As `Mixed`, without underscores and dashes.
    Alphanumeric,
    /// As `Mixed`, only capitals and digits.
    Uppercase,
    /// At least so many hexadecimal digits.
    Hex(usize),
    /// At least so many letters and digits, with a digit.
    Letters(usize),
    /// The same, with underscores and dashes among them.
    Words(usize),
    /// A UUID.
    Uuid,
}

/// The prefixes, in the order of their first bytes.
pub(super) const PREFIXES: &[(&str, Form)] = &[
    ("1//0", Form::Words(24)),             // Google, refresh token
    ("4b1d", Form::Letters(38)),           // ClickHouse Cloud
    ("A3-", Form::Uppercase),              // 1Password
    ("A3T", Form::Uppercase),              // AWS
    ("ABIA", Form::Uppercase),             // AWS
    ("ABSK", Form::Letters(40)),           // AWS Bedrock
    ("ACCA", Form::Uppercase),             // AWS
    ("AGE-SECRET-KEY-", Form::Any),        // age
    ("AIza", Form::Mixed),                 // Google
    ("AKCp", Form::Letters(40)),           // Artifactory
    ("AKIA", Form::Uppercase),             // AWS
    ("API-", Form::Uppercase),             // Octopus Deploy
    ("ASIA", Form::Uppercase),             // AWS
    ("ATATT3", Form::Words(20)),           // Atlassian
    ("ATBB", Form::Letters(20)),           // Bitbucket
    ("ATCTT3", Form::Words(20)),           // Atlassian
    ("ATTA", Form::Hex(32)),               // Trello
    ("AAAAAAAAAAAAAAAAAAAAA", Form::Any),  // X
    ("AKID", Form::Letters(30)),           // Tencent Cloud
    ("AVNS_", Form::Words(16)),            // Aiven
    ("BSA", Form::Words(24)),              // Brave Search
    ("CCIPAT_", Form::Words(20)),          // CircleCI
    ("CFPAT-", Form::Words(20)),           // Contentful
    ("CLOJARS_", Form::Letters(30)),       // Clojars
    ("EAA", Form::Words(40)),              // Facebook and Square
    ("EZAK", Form::Letters(30)),           // EasyPost
    ("EZTK", Form::Letters(30)),           // EasyPost
    ("FLWSECK", Form::Words(12)),          // Flutterwave
    ("GOCSPX-", Form::Words(20)),          // Google, client secret
    ("GR1348941", Form::Words(16)),        // GitLab, runner registration
    ("HRKU-", Form::Words(20)),            // Heroku
    ("LTAI", Form::Letters(12)),           // Alibaba
    ("NRAK-", Form::Letters(20)),          // New Relic
    ("NRII-", Form::Words(20)),            // New Relic
    ("NRIQ-", Form::Words(20)),            // New Relic
    ("NRJS-", Form::Hex(16)),              // New Relic
    ("PMAK-", Form::Hex(16)),              // Postman
    ("PMAT-", Form::Letters(16)),          // Postman
    ("SG.", Form::Mixed),                  // SendGrid
    ("SK", Form::Hex(32)),                 // Twilio
    ("ZXlK", Form::Letters(40)),           // a JSON Web Token in base64
    ("api_org_", Form::Any),               // Hugging Face
    ("access-development-", Form::Hex(8)), // Plaid
    ("access-production-", Form::Hex(8)),  // Plaid
    ("access-sandbox-", Form::Hex(8)),     // Plaid
    ("bkua_", Form::Hex(32)),              // Buildkite
    ("bedrock-api-key-", Form::Any),       // AWS Bedrock
    ("bkat_", Form::Hex(32)),              // Buildkite
    ("cmVmd", Form::Letters(40)),          // Artifactory
    ("cflt", Form::Letters(24)),           // Confluent
    ("cio", Form::Letters(32)),            // crates.io
    ("dapi", Form::Hex(32)),               // Databricks
    ("dckr_oat_", Form::Any),              // Docker
    ("dckr_pat_", Form::Any),              // Docker
    ("doo_v1_", Form::Any),                // DigitalOcean
    ("dop_v1_", Form::Any),                // DigitalOcean
    ("dor_v1_", Form::Any),                // DigitalOcean
    ("dp.audit.", Form::Letters(20)),      // Doppler
    ("dp.ct.", Form::Letters(20)),         // Doppler
    ("dp.pt.", Form::Letters(20)),         // Doppler
    ("dp.sa.", Form::Letters(20)),         // Doppler
    ("dp.scim.", Form::Letters(20)),       // Doppler
    ("dp.st.", Form::Mixed),               // Doppler
    ("dt0c01.", Form::Letters(20)),        // Dynatrace
    ("duffel_", Form::Words(30)),          // Duffel
    ("dG9rO", Form::Letters(24)),          // Intercom
    ("e2b_", Form::Hex(32)),               // E2B
    ("figd_", Form::Words(20)),            // Figma
    ("fio-u-", Form::Any),                 // Frame.io
    ("fm1a_", Form::Any),                  // Fly.io
    ("fm1r_", Form::Any),                  // Fly.io
    ("fm2_", Form::Any),                   // Fly.io
    ("fo1_", Form::Any),                   // Fly.io
    ("fc-", Form::Hex(32)),                // Firecrawl
    ("gho_", Form::Any),                   // GitHub
    ("ghp_", Form::Any),                   // GitHub
    ("ghr_", Form::Any),                   // GitHub
    ("ghs_", Form::Any),                   // GitHub
    ("ghu_", Form::Any),                   // GitHub
    ("github_pat_", Form::Any),            // GitHub
    ("glagent-", Form::Any),               // GitLab
    ("glc_", Form::Letters(20)),           // Grafana Cloud
    ("glcbt-", Form::Any),                 // GitLab
    ("gldt-", Form::Any),                  // GitLab
    ("glffct-", Form::Any),                // GitLab
    ("glft-", Form::Any),                  // GitLab
    ("glimt-", Form::Any),                 // GitLab
    ("gloas-", Form::Any),                 // GitLab
    ("glpat-", Form::Any),                 // GitLab
    ("glptt-", Form::Any),                 // GitLab
    ("glrt-", Form::Any),                  // GitLab
    ("glsa_", Form::Any),                  // Grafana
    ("glsoat-", Form::Any),                // GitLab
    ("gsk_", Form::Letters(20)),           // Groq
    ("hf_", Form::Alphanumeric),           // Hugging Face
    ("hvb.", Form::Any),                   // Vault
    ("hvs.", Form::Any),                   // Vault
    ("ico-", Form::Letters(24)),           // Infracost
    ("key-", Form::Hex(32)),               // Mailgun
    ("lin_api_", Form::Any),               // Linear
    ("lin_oauth_", Form::Any),             // Linear
    ("lsv2_", Form::Words(20)),            // LangSmith
    ("live_", Form::Letters(24)),          // GoCardless, Lob, Mollie
    ("mfa.", Form::Words(24)),             // Discord
    ("mlsn.", Form::Hex(32)),              // MailerSend
    ("mob-", Form::Uuid),                  // LaunchDarkly
    ("nfp_", Form::Letters(20)),           // Netlify
    ("npm_", Form::Alphanumeric),          // npm
    ("ntn_", Form::Letters(20)),           // Notion
    ("nvapi-", Form::Words(20)),           // NVIDIA
    ("ops_eyJ", Form::Any),                // 1Password
    ("oy2", Form::Letters(40)),            // NuGet
    ("p8e-", Form::Letters(24)),           // Adobe
    ("pat-", Form::Words(24)),             // HubSpot
    ("pat.", Form::Words(20)),             // Harness
    ("pnu_", Form::Letters(24)),           // Prefect
    ("pplx-", Form::Letters(20)),          // Perplexity
    ("pscale_", Form::Mixed),              // PlanetScale
    ("pul-", Form::Hex(32)),               // Pulumi
    ("pypi-AgE", Form::Any),               // PyPI
    ("r8_", Form::Letters(24)),            // Replicate
    ("rdme_", Form::Letters(30)),          // ReadMe
    ("rk_live_", Form::Any),               // Stripe
    ("rk_prod_", Form::Any),               // Stripe
    ("rk_test_", Form::Any),               // Stripe
    ("rubygems_", Form::Hex(32)),          // RubyGems
    ("rzp_live_", Form::Letters(14)),      // Razorpay
    ("rzp_test_", Form::Letters(14)),      // Razorpay
    ("s-s4t2", Form::Any),                 // 42
    ("s.", Form::Letters(24)),             // Vault
    ("sat.", Form::Words(20)),             // Harness
    ("sbp_", Form::Hex(32)),               // Supabase
    ("sgp_", Form::Words(24)),             // Sourcegraph
    ("sha256~", Form::Words(24)),          // OpenShift
    ("shippo_", Form::Words(24)),          // Shippo
    ("shpat_", Form::Any),                 // Shopify
    ("shpca_", Form::Any),                 // Shopify
    ("shppa_", Form::Any),                 // Shopify
    ("shpss_", Form::Any),                 // Shopify
    ("shpua_", Form::Any),                 // Shopify
    ("sk-ant-", Form::Any),                // Anthropic
    ("sk-proj-", Form::Any),               // OpenAI
    ("sk-", Form::Mixed),                  // OpenAI
    ("sk_live_", Form::Any),               // Stripe
    ("sk_prod_", Form::Any),               // Stripe
    ("sk_test_", Form::Any),               // Stripe
    ("sl.", Form::Words(40)),              // Dropbox
    ("sm_aat_", Form::Letters(12)),        // SettleMint
    ("sm_pat_", Form::Letters(12)),        // SettleMint
    ("sm_sat_", Form::Letters(12)),        // SettleMint
    ("sntrys_", Form::Any),                // Sentry
    ("sntryu_", Form::Any),                // Sentry
    ("sq0atp-", Form::Words(16)),          // Square
    ("sq0csp-", Form::Words(16)),          // Square
    ("sb_secret_", Form::Words(20)),       // Supabase
    ("sdk-", Form::Uuid),                  // LaunchDarkly
    ("sk_", Form::Hex(32)),                // ElevenLabs
    ("sqa_", Form::Hex(32)),               // SonarQube
    ("sqp_", Form::Hex(32)),               // SonarQube
    ("squ_", Form::Hex(32)),               // SonarQube
    ("st.", Form::Hex(24)),                // Infisical
    ("tfp_", Form::Words(24)),             // Typeform
    ("tk-us-", Form::Words(24)),           // Scalingo
    ("tskey-", Form::Any),                 // Tailscale
    ("tvly-", Form::Words(20)),            // Tavily
    ("v1.0-", Form::Hex(24)),              // Cloudflare, origin CA
    ("wandb_v1_", Form::Any),              // Weights & Biases
    ("whsec_", Form::Any),                 // Stripe
    ("xai-", Form::Letters(20)),           // xAI
    ("xapp-", Form::Any),                  // Slack
    ("xkeysib-", Form::Any),               // Brevo
    ("xoxa-", Form::Any),                  // Slack
    ("xoxb-", Form::Any),                  // Slack
    ("xoxc-", Form::Any),                  // Slack
    ("xoxd-", Form::Any),                  // Slack
    ("xoxe", Form::Any),                   // Slack
    ("xoxo-", Form::Any),                  // Slack
    ("xoxp-", Form::Any),                  // Slack
    ("xoxr-", Form::Any),                  // Slack
    ("xoxs-", Form::Any),                  // Slack
    ("xprv", Form::Letters(60)),           // BIP 32, extended private key
    ("xsmtpsib-", Form::Any),              // Brevo
    ("xaat-", Form::Uuid),                 // Axiom
    ("ya29.", Form::Any),                  // Google
    ("zprv", Form::Letters(60)),           // BIP 84
];

/// Where the prefixes with each first byte are.
pub(super) static BY_FIRST_BYTE: Index = by_first_byte(&NAMES);

/// With which two bytes they begin.
pub(super) static BEGINNINGS: Beginnings = Beginnings::of(&[&NAMES]);

const NAMES: [&str; PREFIXES.len()] = firsts(PREFIXES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_the_order_of_first_bytes() {
        let lists = [
            crate::lexicon::KEY_KINDS,
            crate::lexicon::STEMS,
            crate::lexicon::WORDS,
            crate::nouns::HARMLESS_KEYS,
            crate::foreign::FOREIGN_STEMS,
            crate::foreign::FOREIGN_WORDS,
        ];
        assert!(lists.iter().all(|list| list.is_sorted_by_key(|word| word.as_bytes()[0])));
        assert!(crate::lexicon::WORD_PAIRS.is_sorted_by_key(|(first, _)| first.as_bytes()[0]));
        assert!(PREFIXES.len() < 256);
        assert!(PREFIXES.is_sorted_by_key(|(prefix, _)| prefix.as_bytes()[0]));
    }
}
