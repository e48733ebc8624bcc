//! Attributes that transform `async fn main` as those of runtimes other than tokio do.
//!
//! They expect `[attributes] async fn main() { .. }`, and poll the future once.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Like `#[async_std::main]`: generates an inner `async fn main`, which keeps the attributes, and
/// an outer `fn main` that runs it.
#[proc_macro_attribute]
pub fn nesting(_args: TokenStream, item: TokenStream) -> TokenStream {
    let (attributes, body) = split(item);
    let inner = attributes.into_iter().chain(tokens("async fn main()")).chain([body]);
    function(inner.chain(run(tokens("main()"))).collect())
}

/// Like `#[actix_web::main]`: removes `async`, and runs the body as an async block.
#[proc_macro_attribute]
pub fn unwrapping(_args: TokenStream, item: TokenStream) -> TokenStream {
    let (attributes, body) = split(item);
    let block = tokens("async move").into_iter().chain([body]).collect();
    attributes.into_iter().chain(function(run(block))).collect()
}

fn split(item: TokenStream) -> (TokenStream, TokenTree) {
    let mut attributes: Vec<TokenTree> = item.into_iter().collect();
    let body = attributes.pop().expect("a body");
    let is_async = |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word.to_string() == "async");
    attributes.truncate(attributes.iter().position(is_async).expect("an async fn"));
    (attributes.into_iter().collect(), body)
}

fn function(body: TokenStream) -> TokenStream {
    let body = TokenTree::from(Group::new(Delimiter::Brace, body));
    tokens("fn main()").into_iter().chain([body]).collect()
}

fn run(future: TokenStream) -> TokenStream {
    let future = TokenTree::from(Group::new(Delimiter::Parenthesis, future));
    let runtime = tokens(
        "fn block_on(future: impl ::core::future::Future<Output = ()>) {
            let mut context = ::core::task::Context::from_waker(::core::task::Waker::noop());
            assert!(::std::boxed::Box::pin(future).as_mut().poll(&mut context).is_ready());
        }
        block_on",
    );
    runtime.into_iter().chain([future]).collect()
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("tokens")
}
