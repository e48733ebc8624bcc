//! `#[gmr::main]`: inserts one statement at the top of the user's `main`.
//!
//! The statement is a call with plain data: everything else happens in the runtime.

use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Path, ReturnType, Token, Type, parse_quote};

use crate::args::{Args, Known};
use crate::errors::Errors;
use crate::fallback::fallback;
use crate::formats::Format;
use crate::item::Function;
use crate::runtime::TRACKED_MAIN;
use crate::tracking::{pinned, tracked_block, tracking_call};
use crate::{required, runtime, values};

const ATTRIBUTE: &str = "gmr::main";

/// The runtime has the same default.
const DEFAULT_SIGNAL: &str = "SIGUSR2";

const OPTIONS: &[Known] = &[
    Known { name: "version", example: "version = \"1.2.3\"" },
    Known { name: "product", example: "product = \"Shop\"" },
    Known { name: "vendor", example: "vendor = \"Example Ltd\"" },
    Known { name: "revision", example: "revision = env!(\"GIT_SHA\")" },
    Known { name: "signal", example: "signal = \"SIGUSR1\"" },
    Known { name: "format", example: "format = \"json\"" },
    Known { name: "poll_tasks", example: "poll_tasks = false" },
    Known { name: "second_look", example: "second_look = \"50ms\"" },
    Known { name: "on_panic", example: "on_panic = true" },
    Known { name: "on_fatal", example: "on_fatal = true" },
    Known { name: "slow_start", example: "slow_start = \"30s\"" },
    Known { name: "slow_shutdown", example: "slow_shutdown = \"25s\"" },
    Known { name: "watchdog", example: "watchdog = \"5s\"" },
    Known { name: "slow_task", example: "slow_task = \"60s\"" },
    Known { name: "on_memory", example: "on_memory = \"90%\"" },
    Known { name: "on_descriptors", example: "on_descriptors = \"90%\"" },
    Known { name: "on_threads", example: "on_threads = \"90%\"" },
    Known { name: "sections", example: "sections = \"-modules, +environment\"" },
    Known { name: "log_dir", example: "log_dir = \"/var/log/shop\"" },
    Known { name: "log_to_stderr", example: "log_to_stderr = true" },
    Known { name: "log_max_files", example: "log_max_files = 20" },
    Known { name: "log_max_bytes", example: "log_max_bytes = \"20MiB\"" },
    Known { name: "log_gzip", example: "log_gzip = true" },
    Known { name: "log_journal", example: "log_journal = true" },
    Known { name: "log_tracing", example: "log_tracing = \"summary\"" },
    Known { name: "max_per_hour", example: "max_per_hour = 6" },
    Known { name: "max_bytes", example: "max_bytes = \"1MiB\"" },
    Known { name: "min_interval", example: "min_interval = \"1s\"" },
    Known { name: "trigger_file", example: "trigger_file = \"/run/shop/report\"" },
    Known { name: "mask", example: "mask(keys(\"internal_code\"), show(\"session_color\"))" },
    Known { name: "link", example: "link(my_sections)" },
    Known { name: "crate", example: "crate = my_crate::gmr" },
];

/// The attribute's options.
#[derive(Default)]
struct Options {
    version: Option<TokenStream>,
    product: Option<TokenStream>,
    vendor: Option<TokenStream>,
    revision: Option<TokenStream>,
    signal: Option<String>,
    format: Option<Format>,
    poll_tasks: Option<bool>,
    second_look: Option<TokenStream>,
    on_panic: Option<&'static str>,
    on_fatal: Option<bool>,
    slow_start: Option<TokenStream>,
    slow_shutdown: Option<TokenStream>,
    watchdog: Option<TokenStream>,
    slow_task: Option<TokenStream>,
    on_memory: Option<u8>,
    on_descriptors: Option<u8>,
    on_threads: Option<(&'static str, u32)>,
    sections: Option<String>,
    log_dir: Option<String>,
    log_to_stderr: Option<bool>,
    log_max_files: Option<u32>,
    log_max_bytes: Option<u64>,
    /// And where that is.
    log_gzip: Option<(bool, Span)>,
    log_journal: Option<bool>,
    log_tracing: Option<(&'static str, Span)>,
    max_per_hour: Option<u32>,
    max_bytes: Option<u64>,
    min_interval: Option<TokenStream>,
    trigger_file: Option<String>,
    mask: Option<String>,
    link: Vec<Ident>,
    krate: Option<Path>,
}

/// Expands the attribute on this item.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::read(args, &mut errors);
    let function = Function::parse(item.clone(), ATTRIBUTE, &mut errors);
    let Some(function) = function else {
        return fallback(errors, &options.with_check(item)).unwrap_or_default();
    };
    validate(&function, &mut errors);
    let item = options.with_check(&compilable(&function, item));
    fallback(errors, &item).unwrap_or_else(|| with_statement(&function, &options))
}

fn validate(function: &Function, errors: &mut Errors) {
    if function.name() != "main" {
        errors.on(
            function.ident(),
            "`#[gmr::main]` can only be applied to `main`: move it there, or call \
             `gmr::Builder::new().install()` here",
        );
    } else if let Some(asyncness) = lacks_runtime(function) {
        errors.on(
            asyncness,
            "`async fn main` needs a runtime: add `#[tokio::main]`, or the attribute of your runtime, \
             below `#[gmr::main]`",
        );
    }
}

/// The `async` of an `async fn main` without a runtime.
fn lacks_runtime(function: &Function) -> Option<Token![async]> {
    let asyncness = function.signature.asyncness.filter(|_| function.name() == "main")?;
    let has_runtime = runtime::may_follow(&function.attributes) || runtime::generated(asyncness.span);
    (!has_runtime).then_some(asyncness)
}

/// The user's function, in a form that adds no second error: the compiler rejects an `async fn
/// main` at the root of a crate. Nested in a plain `main`, its body is still checked.
fn compilable(function: &Function, item: &TokenStream) -> TokenStream {
    match lacks_runtime(function) {
        Some(_) => quote!(fn main() { #item }),
        None => item.clone(),
    }
}

/// The user's function with the statement at the top of its body, and otherwise unchanged.
///
/// If the runtime's attribute has not expanded yet, the statement goes into the async body and runs
/// once the runtime is built. A generated outer `fn main` could run it earlier, but some runtimes'
/// attributes give `main` arguments or change its return type (embassy, shuttle), so the outer
/// function could not be written without knowing the attribute. To install gmr before the runtime
/// is built, `#[gmr::main]` goes below the runtime's attribute.
fn with_statement(function: &Function, options: &Options) -> TokenStream {
    let Function { head, body, .. } = function;
    let (inner_attributes, rest) = split_inner_attributes(body.stream());
    let statement = options.statement();
    let rest = with_task(function, rest, &options.krate());
    let mut with_statement = Group::new(body.delimiter(), quote!(#inner_attributes #statement #rest));
    // The span of the user's body, but marked as generated: lints about statements (such as
    // `clippy::items_after_statements`) must not blame the user for the statement inserted here.
    with_statement.set_span(body.span().resolved_at(Span::mixed_site()));
    quote!(#head #with_statement)
}

/// The body with its future tracked as the task `main`.
fn with_task(function: &Function, body: TokenStream, krate: &Path) -> TokenStream {
    // gmr-tokio's attribute, which has expanded before, tracks it.
    if runtime::tracks_main(body.clone()) {
        return body;
    }
    let tracked = |future| tracking_call(function, TRACKED_MAIN, future, krate);
    if function.signature.asyncness.is_none() {
        return runtime::with_tracked_future(body, &mut |future| tracked(future));
    }
    // An async block cannot have the type `!`.
    if matches!(&function.signature.output, ReturnType::Type(_, output) if matches!(**output, Type::Never(_)))
    {
        return body;
    }
    let call = tracked(pinned(&tracked_block(function, &body)));
    quote_spanned!(Span::mixed_site()=> #call.await)
}

/// Splits off `#![..]`, which is only allowed at the start of a body.
fn split_inner_attributes(body: TokenStream) -> (TokenStream, TokenStream) {
    let trees: Vec<TokenTree> = body.into_iter().collect();
    let mut end = 0;
    while let [TokenTree::Punct(hash), TokenTree::Punct(bang), TokenTree::Group(_), ..] = &trees[end..]
        && (hash.as_char(), bang.as_char()) == ('#', '!')
    {
        end += 3;
    }
    let (inner, rest) = trees.split_at(end);
    (inner.iter().cloned().collect(), rest.iter().cloned().collect())
}

impl Options {
    fn read(args: TokenStream, errors: &mut Errors) -> Self {
        let args = Args::parse(args, OPTIONS, errors);
        for value in &args.unnamed {
            errors.on(value, "expected an option, such as `version = \"1.2.3\"`");
        }
        let mut options = Self::default();
        for given in &args.options {
            match given.known.name {
                "version" => options.version = given.text(errors),
                "product" => options.product = given.text(errors),
                "vendor" => options.vendor = given.text(errors),
                "revision" => options.revision = given.text(errors),
                "signal" => options.signal = given.signal(errors),
                "format" => options.format = given.format(errors),
                "poll_tasks" => options.poll_tasks = given.switch(errors),
                "second_look" => options.second_look = given.duration_or_off(errors),
                "on_panic" => options.on_panic = given.panics(errors),
                "on_fatal" => options.on_fatal = given.switch(errors),
                "slow_start" => options.slow_start = given.duration_or_off(errors),
                "slow_shutdown" => options.slow_shutdown = given.duration_or_off(errors),
                "watchdog" => options.watchdog = given.duration_or_off(errors),
                "slow_task" => options.slow_task = given.duration_or_off(errors),
                "on_descriptors" => options.on_descriptors = given.percentage(errors),
                "on_threads" => options.on_threads = given.threads(errors),
                "on_memory" => options.on_memory = given.percentage(errors),
                "sections" => options.sections = given.sections(errors),
                "log_dir" => options.log_dir = given.plain_text(errors),
                "log_to_stderr" => options.log_to_stderr = given.switch(errors),
                "log_max_files" => options.log_max_files = given.count(errors),
                "log_max_bytes" => options.log_max_bytes = given.bytes(errors),
                "log_gzip" => {
                    options.log_gzip = given.switch(errors).map(|on| (on, given.value_span()));
                }
                "log_journal" => options.log_journal = given.switch(errors),
                "log_tracing" => {
                    options.log_tracing = given.events(errors).map(|what| (what, given.value_span()));
                }
                "max_per_hour" => options.max_per_hour = given.count(errors),
                "max_bytes" => options.max_bytes = given.bytes(errors),
                "min_interval" => options.min_interval = given.duration_or_off(errors),
                "trigger_file" => options.trigger_file = given.plain_text(errors),
                "mask" => options.mask = given.names_to_mask(errors),
                "link" => options.link = given.crates(errors).unwrap_or_default(),
                "crate" => options.krate = given.path(errors),
                _ => {}
            }
        }
        options
    }

    fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(|| parse_quote!(::gmr))
    }

    /// The item, after a check of the format's feature. The statement, which has the same check, is
    /// left out of the expansion when there are other mistakes.
    fn with_check(&self, item: &TokenStream) -> TokenStream {
        let check = self.format.as_ref().and_then(|format| format.check(&self.krate()));
        quote!(#check #item)
    }

    /// The statement that installs gmr, after those that link the crates in `link(..)` and the
    /// initializer that has the report signal noted until then.
    fn statement(&self) -> TokenStream {
        let krate = self.krate();
        let link = self.link.iter().map(|dependency| {
            // The span of the name, so that the compiler reports a missing crate there.
            quote_spanned!(dependency.span().resolved_at(Span::mixed_site())=> extern crate #dependency as _;)
        });
        let texts = [&self.product, &self.version, &self.vendor, &self.revision];
        let [product, version, vendor, revision] = texts.map(|value| {
            values::optional(value.as_ref().map(|value| quote!(#krate::__private::package_text(#value))))
        });
        let early = self.signal.as_deref().unwrap_or(DEFAULT_SIGNAL);
        let signal = values::optional(self.signal.as_ref().map(ToTokens::to_token_stream));
        let format = values::optional(self.format.as_ref().map(|format| format.expression(&krate)));
        let poll_tasks = values::optional(self.poll_tasks.as_ref().map(ToTokens::to_token_stream));
        let second_look = values::optional(self.second_look.clone());
        let on_panic = Ident::new(self.on_panic.unwrap_or("Off"), Span::mixed_site());
        let on_fatal = values::optional(self.on_fatal.as_ref().map(ToTokens::to_token_stream));
        let slow_start = values::optional(self.slow_start.clone());
        let slow_shutdown = values::optional(self.slow_shutdown.clone());
        let watchdog = values::optional(self.watchdog.clone());
        let on_memory = values::optional(self.on_memory.as_ref().map(ToTokens::to_token_stream));
        let slow_task = values::optional(self.slow_task.clone());
        let on_descriptors = values::optional(self.on_descriptors.as_ref().map(ToTokens::to_token_stream));
        let on_threads = values::optional(self.on_threads.map(|(variant, number)| {
            let variant = Ident::new(variant, Span::mixed_site());
            let number = Literal::u32_unsuffixed(number);
            quote!(#krate::__private::OnThreads::#variant(#number))
        }));
        let sections = values::optional(self.sections.as_ref().map(ToTokens::to_token_stream));
        let log_dir = values::optional(self.log_dir.as_ref().map(ToTokens::to_token_stream));
        let log_to_stderr = values::optional(self.log_to_stderr.as_ref().map(ToTokens::to_token_stream));
        let log_max_files = values::optional(self.log_max_files.as_ref().map(ToTokens::to_token_stream));
        let log_max_bytes = values::optional(self.log_max_bytes.as_ref().map(ToTokens::to_token_stream));
        let gzip = |(on, span)| {
            if on { required::requires("requires_gzip", span, &krate, &quote!(true)) } else { quote!(false) }
        };
        let log_gzip = values::optional(self.log_gzip.map(gzip));
        let log_journal = values::optional(self.log_journal.as_ref().map(ToTokens::to_token_stream));
        let (what, span) = self.log_tracing.unwrap_or(("Off", Span::mixed_site()));
        let what = Ident::new(what, Span::mixed_site());
        let what = quote!(#krate::__private::LogTracing::#what);
        let log_tracing = match self.log_tracing {
            Some(("Summary" | "Full", _)) => required::requires("requires_tracing", span, &krate, &what),
            _ => what,
        };
        let max_per_hour = values::optional(self.max_per_hour.as_ref().map(ToTokens::to_token_stream));
        let max_bytes = values::optional(self.max_bytes.as_ref().map(ToTokens::to_token_stream));
        let min_interval = values::optional(self.min_interval.clone());
        let trigger_file = values::optional(self.trigger_file.as_ref().map(ToTokens::to_token_stream));
        let mask = values::optional(self.mask.as_ref().map(ToTokens::to_token_stream));
        // `mixed_site`: the user's expressions can't refer to variables of the expansion.
        quote_spanned! {Span::mixed_site()=>
            #(#link)*
            #krate::__private::before_main! { #early }
            #krate::__private::arm(#krate::__private::Setup {
                package: ::core::option_env!("CARGO_PKG_NAME"),
                package_version: ::core::option_env!("CARGO_PKG_VERSION"),
                debug_assertions: ::core::cfg!(debug_assertions),
                product: #product,
                version: #version,
                vendor: #vendor,
                signal: #signal,
                format: #format,
                poll_tasks: #poll_tasks,
                second_look: #second_look,
                on_panic: #krate::__private::OnPanic::#on_panic,
                on_fatal: #on_fatal,
                slow_start: #slow_start,
                slow_shutdown: #slow_shutdown,
                watchdog: #watchdog,
                slow_task: #slow_task,
                on_memory: #on_memory,
                on_descriptors: #on_descriptors,
                on_threads: #on_threads,
                sections: #sections,
                log_dir: #log_dir,
                log_to_stderr: #log_to_stderr,
                log_max_files: #log_max_files,
                log_max_bytes: #log_max_bytes,
                log_gzip: #log_gzip,
                log_journal: #log_journal,
                log_tracing: #log_tracing,
                max_per_hour: #max_per_hour,
                max_bytes: #max_bytes,
                min_interval: #min_interval,
                trigger_file: #trigger_file,
                mask: #mask,
                revision: #revision,
                vergen: [
                    ::core::option_env!("VERGEN_GIT_SHA"),
                    ::core::option_env!("VERGEN_GIT_DIRTY"),
                ],
            });
        }
    }
}
