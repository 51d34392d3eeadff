//! Compiles and runs the code of the guide's chapters and of the project's README as doctests.

macro_rules! chapters {
    ($($name:ident = $file:literal),* $(,)?) => {
        $(#[doc = include_str!($file)] pub mod $name {})*
    };
}

chapters! {
    readme = "../../README.md",
    getting_started = "getting-started.md",
    two_way_calls = "two-way-calls.md",
    methods_and_parameters = "methods-and-parameters.md",
    errors = "errors.md",
    batches = "batches.md",
    authentication = "authentication.md",
    tls = "tls.md",
    subscriptions = "subscriptions.md",
    reconnecting = "reconnecting.md",
    broadcasting = "broadcasting.md",
    cancellation = "cancellation.md",
    middleware = "middleware.md",
    observability = "observability.md",
    axum_and_http = "axum-and-http.md",
    testing = "testing.md",
    describing_an_api = "describing-an-api.md",
    deploying = "deploying.md",
    migrating_from_jsonrpsee = "migrating-from-jsonrpsee.md",
    migrating_from_python = "migrating-from-python.md",
    wire = "wire.md",
}
