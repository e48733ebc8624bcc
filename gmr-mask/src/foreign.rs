//! The words for secrets in languages other than English, by which `keys` classifies names. It only
//! holds data. Accents are folded (`é` is `e`), and marks that are no letters are left out.

/// Strings that make a name secret wherever they occur in it, in the order of their first bytes.
pub(super) const FOREIGN_STEMS: &[&str] = &[
    "adgangskode",                                // Danish
    "chaveprivada",                               // Portuguese
    "chiaveprivat",                               // Italian
    "cleapi",                                     // French
    "cleprivee",                                  // French
    "clesecrete",                                 // French
    "contrasena",                                 // Spanish
    "contrasenya",                                // Catalan
    "contrasinal",                                // Galician
    "cyfrinair",                                  // Welsh
    "fjalekalim",                                 // Albanian
    "geheim",                                     // German, Dutch
    "gizlianahtar",                               // Turkish
    "hemlig",                                     // Swedish
    "hemmelig",                                   // Danish, Norwegian
    "jelszo",                                     // Hungarian
    "katalaluan",                                 // Malay
    "katasandi",                                  // Indonesian
    "kennwort",                                   // German
    "kluczprywatny",                              // Polish
    "kodeord",                                    // Danish
    "kodord",                                     // Swedish
    "llaveprivada",                               // Spanish
    "losenord",                                   // Swedish
    "losungswort",                                // German
    "lozinka",                                    // Croatian, Serbian
    "lykilord",                                   // Icelandic
    "matkhau",                                    // Vietnamese
    "motdepasse",                                 // French
    "palabradepaso",                              // Spanish
    "palavrapasse",                               // Portuguese
    "paroladordine",                              // Italian
    "pasahitza",                                  // Basque
    "pasvorto",                                   // Esperanto
    "phrasedepasse",                              // French
    "salasana",                                   // Finnish
    "salasona",                                   // Estonian
    "schluessel",                                 // German
    "schlussel",                                  // German
    "segredo",                                    // Portuguese
    "segret",                                     // Italian
    "slaptazod",                                  // Lithuanian
    "tajnyklic",                                  // Czech
    "titkos",                                     // Hungarian
    "wachtwoord",                                 // Dutch
    "zaporka",                                    // Croatian
    "zugangscode",                                // German
    "zugangsdaten",                               // German
    "κωδικοσπροσβασησ",                           // Greek
    "συνθηματικο",                                // Greek
    "ключдоступа",                                // Russian
    "\u{43b}\u{43e}\u{437}\u{438}\u{43d}\u{43a}", // Macedonian, Serbian: lozink
    "\u{43f}\u{430}\u{440}\u{43e}\u{43b}",        // Russian, Ukrainian, Bulgarian: parol
    "пасворд",                                    // Russian
    "\u{441}\u{435}\u{43a}\u{440}\u{435}\u{442}", // Russian: secret
    "գաղտնաբառ",                                  // Armenian
    "סיסמ",                                       // Hebrew
    "رمزعبور",                                    // Persian
    "كلمةالسر",                                   // Arabic
    "كلمةالمرور",                                 // Arabic
    "گذرواژه",                                    // Persian
    "पासवरड",                                     // Hindi
    "รหัสผาน",                                     // Thai
    "პაროლ",                                      // Georgian
    "パスフレ",                                   // Japanese
    "パスワ",                                     // Japanese
    "令牌",                                       // Chinese
    "口令",                                       // Chinese
    "密码",                                       // Chinese
    "密碼",                                       // Chinese
    "密鑰",                                       // Chinese
    "密钥",                                       // Chinese
    "暗証番号",                                   // Japanese
    "秘密鍵",                                     // Japanese
    "비밀번호",                                   // Korean
    "비밀키",                                     // Korean
    "암호",                                       // Korean
    "패스워드",                                   // Korean
];

/// Words that contain such a string and name no secret: a bundle of keys, a keyhole.
pub(super) const FOREIGN_EXCEPTIONS: &[&str] =
    &["schluesselbund", "schlusselbund", "schluesselwort", "schlusselwort"];

/// Words that make a name secret if they are whole words of it.
pub(super) const FOREIGN_WORDS: &[&str] = &[
    "clave",   // Spanish
    "geslo",   // Slovene
    "haslo",   // Polish
    "heslo",   // Czech, Slovak
    "jeton",   // French
    "mdp",     // French
    "parol",   // Azerbaijani, Uzbek
    "parola",  // Turkish, Romanian
    "parool",  // Estonian
    "parolu",  // Turkish
    "sandi",   // Indonesian
    "senha",   // Portuguese
    "senhas",  // Portuguese
    "sifre",   // Turkish
    "sifresi", // Turkish
    "sifra",   // Croatian, Slovene
    "sleutel", // Dutch
    "κωδικοσ", // Greek
];

/// Phrases of several words, as text has them: the whole phrase without spaces.
pub(super) const FOREIGN_PHRASES: &[&str] = &[
    "cleprivee",
    "katalaluan",
    "katasandi",
    "matkhau",
    "motdepasse",
    "palabradepaso",
    "palavrapasse",
    "paroladordine",
    "phrasedepasse",
    "كلمةالسر",
    "كلمةالمرور",
];

/// A letter without its accent, as text in ASCII writes it.
pub(super) fn folded(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ạ'..='ặ' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' | 'đ' | 'ð' => 'd',
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' | 'ẹ'..='ệ' => 'e',
        'ğ' | 'ģ' => 'g',
        'ì'..='ï' | 'ī' | 'į' | 'ı' | 'ỉ' | 'ị' => 'i',
        'ķ' => 'k',
        'ł' | 'ļ' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ň' | 'ņ' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'ọ'..='ợ' => 'o',
        'ř' | 'ŕ' => 'r',
        'ś' | 'š' | 'ş' | 'ș' => 's',
        'ť' | 'ţ' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' | 'ụ'..='ự' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        'ё' => 'е',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' => 'ι',
        'ό' => 'ο',
        'ύ' => 'υ',
        'ώ' => 'ω',
        'ς' => 'σ',
        _ => c,
    }
}
