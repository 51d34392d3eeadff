//! [`Report`] collects errors, so that a trait with three mistakes gives three messages in one
//! compilation.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// All errors found so far.
#[derive(Default)]
pub(crate) struct Report {
    errors: Option<Error>,
    count: usize,
}

impl Report {
    /// Adds an error that is shown under all of `tokens`.
    pub(crate) fn error(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// Adds an error that is shown at `span`.
    pub(crate) fn error_at(&mut self, span: Span, message: impl Display) {
        self.add(Error::new(span, message));
    }

    /// Adds an error that was created elsewhere.
    pub(crate) fn add(&mut self, error: Error) {
        self.count += 1;
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            None => self.errors = Some(error),
        }
    }

    /// The number of errors: if it is the same before and after a step, the step succeeded.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// One `compile_error!` for each error; `None` if there are none.
    pub(crate) fn compile_errors(self) -> Option<TokenStream> {
        self.errors.map(Error::into_compile_error)
    }
}
