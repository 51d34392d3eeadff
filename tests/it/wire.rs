//! What goes over the wire: raw text in, raw text out, a table for each row of the rules in
//! ARCHITECTURE.md.
