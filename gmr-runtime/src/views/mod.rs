//! From the model to bytes. A view knows the model and nothing else.

pub(crate) mod text;
