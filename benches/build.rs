//! Generates tonic's client and server for `src/bin/both_tonic.rs` without a `.proto` file, which would
//! need protoc.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let sum = Method::builder()
        .name("sum")
        .route_name("Sum")
        .input_type("crate::Pair")
        .output_type("crate::Sum")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let math = Service::builder().name("Math").package("bench").method(sum).build();
    Builder::new().compile(&[math]);
}
