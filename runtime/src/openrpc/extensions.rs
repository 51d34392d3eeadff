//! The members with the prefix `x-` that this crate adds to documents.
