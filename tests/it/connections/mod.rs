//! A server's connections: their list, their identities, and the hooks for their begin and their end.

mod identities;
mod list;
mod on_connect;
mod on_connect_ends;
mod on_disconnect;
