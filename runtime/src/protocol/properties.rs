//! Property tests: the decoder and the reference decoder must agree on random messages and
//! arguments. The seed is fixed, so every run is the same.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::value::RawValue;

use super::reference::{check_arguments, check_message};

pub(crate) fn run<S: Strategy>(cases: u32, strategy: S, check: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"messages of any kind, at random!");
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&strategy, |value| {
        check(value);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => Just(String::new()),
        2 => Just(" ".to_owned()),
        1 => "[ \t\r\n]{0,3}",
    ]
}

pub(super) fn number() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "0",
        "-0",
        "00",
        "01",
        "-1",
        "1.0",
        "1.",
        ".5",
        "1e5",
        "1E+2",
        "1e",
        "-",
        "+1",
        "0.1e-7",
        "1e999",
        "-1e-999",
        "127",
        "128",
        "-128",
        "-129",
        "255",
        "256",
        "300",
        "65535",
        "65536",
        "2147483648",
        "-2147483649",
        "4294967296",
        "16777217",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "9999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "1180591620717411303424",
        "-1180591620717411303424",
        "340282366920938463463374607431768211456",
        "123456789012345678901234567890123456789",
    ];
    prop_oneof![
        3 => any::<i64>().prop_map(|number| number.to_string()),
        3 => (0..100_000_u32).prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        3 => select(ODD).prop_map(str::to_owned),
        1 => "-?[0-9]{1,25}([.][0-9]{0,3})?([eE][+-]?[0-9]{0,3})?",
    ]
}

/// A string with its quotes; mostly valid.
pub(super) fn string() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "0",
        " ",
        "eight678",
        "0123456789abcdefghijklmnopqrstuvwxyz",
        "é",
        "\u{1f600}",
        "\u{7f}",
        "\u{80}",
        "\u{2028}",
        "'",
        "/",
        "[",
        "{",
        "#",
        "!",
        " at line 1 column 2",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\b\\f\\r\\t",
        "\\u0041",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\u0000",
    ];
    const BROKEN: &[&str] =
        &["\\ud800", "\\udc00", "\\ud800\\u0041", "\\u12", "\\x", "\n", "\u{0}", "\u{1f}", "\""];
    let piece = prop_oneof![40 => select(PIECES), 1 => select(BROKEN)];
    vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A whole value, mostly valid.
fn value() -> impl Strategy<Value = String> {
    const WORDS: &[&str] =
        &["null", "true", "false", "[]", "{}", "nul", "True", "\"2.0\"", "\"A\"", "\"C\""];
    let leaf = prop_oneof![
        3 => number(),
        3 => string(),
        2 => select(WORDS).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let item = (space(), inner, space()).prop_map(|(a, value, b)| a + &value + &b).boxed();
        const KEYS: &[&str] = &["\"a\"", "\"b\"", "\"B\"", "\"C\"", "\"\\u0061\""];
        let key = prop_oneof![
            2 => select(KEYS).prop_map(str::to_owned),
            1 => string(),
        ];
        let member = (space(), key, space(), item.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// A member of an envelope, with a value of its usual kind or any other.
fn member() -> impl Strategy<Value = String> {
    const USUAL: &[&str] = &[
        "\"jsonrpc\":\"2.0\"",
        "\"jsonrpc\": \"2.0\"",
        "\"jsonrpc\":\"2\\u002e0\"",
        "\"jsonrpc\":2.0",
        "\"jsonrpc\":\"1.0\"",
        "\"json\\u0072pc\":\"2.0\"",
        "\"jsonrpcs\":\"2.0\"",
        "\"method\":\"m\"",
        "\"method\":\"math.sum\"",
        "\"m\\u0065thod\":\"m\"",
        "\"method\":\"\\u006d\"",
        "\"method\":1",
        "\"method\" : \"a long name of a method\"",
        "\"id\":1",
        "\"id\": 12",
        "\"id\":\"a\"",
        "\"id\":null",
        "\"\\u0069d\":1",
        "\"idx\":1",
        "\"params\":[1,2]",
        "\"params\": {\"a\" : 1}",
        "\"params\":null",
        "\"param\":[]",
        "\"par\\u0061ms\":[]",
        "\"result\":3",
        "\"result\":null",
        "\"results\":1",
        "\"error\":{\"code\":1,\"message\":\"m\"}",
        "\"error\":null",
        "\"error\" :null",
        "\"errors\":1",
        "\"wsjsonrpc\":{\"timeout\":1}",
        "\"wsjsonrpC\":1",
        "\"traceparent\":\"00\"",
        "\"tracestate\":\"a=1\"",
        "\"wsjsonr\\u0070c\":null",
        "\"extra\":{\"id\":1,\"method\":\"x\"}",
        "\"\\ud800\":1",
        "\"\":0",
    ];
    const NAMES: &[&str] = &[
        "\"jsonrpc\"",
        "\"id\"",
        "\"method\"",
        "\"params\"",
        "\"result\"",
        "\"error\"",
        "\"wsjsonrpc\"",
        "\"i\\u0064\"",
    ];
    let any = (select(NAMES), space(), space(), value())
        .prop_map(|(name, a, b, value)| format!("{name}{a}:{b}{value}"));
    prop_oneof![5 => select(USUAL).prop_map(str::to_owned), 2 => any]
}

fn envelope() -> impl Strategy<Value = String> {
    let spaced = (space(), member(), space()).prop_map(|(a, member, b)| a + &member + &b);
    let call = (space(), vec(spaced, 0..4), any::<Index>()).prop_map(|(a, mut members, place)| {
        // Without these two members, nearly all messages would be invalid requests.
        for usual in ["\"jsonrpc\":\"2.0\"", "\"method\":\"sum\""] {
            members.insert(place.index(members.len() + 1), usual.to_owned());
        }
        format!("{{{a}{}}}", members.join(","))
    });
    let any = vec(member(), 0..5).prop_map(|members| format!("{{{}}}", members.join(",")));
    prop_oneof![call, any]
}

pub(super) fn message() -> impl Strategy<Value = String> {
    let entry = || prop_oneof![6 => envelope(), 1 => value()];
    let batch = vec((space(), entry(), space()), 0..7).prop_map(|entries| {
        let entries: Vec<_> = entries.into_iter().map(|(a, entry, b)| a + &entry + &b).collect();
        format!("[{}]", entries.join(","))
    });
    let whole = prop_oneof![6 => entry().boxed(), 1 => batch.boxed()];
    (space(), whole, space()).prop_map(|(a, whole, b)| a + &whole + &b)
}

/// Some characters changed, removed, inserted or repeated.
fn broken(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    const BITS: &[&str] =
        &["", "\"", "\\", ",", ":", "{", "}", "[", "]", " ", "0", "e", "n", "\u{1}", "é"];
    let change = (any::<Index>(), select(BITS), 0..3_usize);
    (text, vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut characters: Vec<char> = text.chars().collect();
        for (place, bits, gone) in changes {
            let place = place.index(characters.len() + 1);
            let end = characters.len().min(place + gone);
            characters.splice(place..end, bits.chars());
        }
        characters.into_iter().collect()
    })
}

#[test]
fn every_message_is_decoded_as_the_reference_decodes_it() {
    run(10_000, message(), |text| check_message(&text));
}

#[test]
fn every_broken_message_is_decoded_as_the_reference_decodes_it() {
    run(10_000, broken(message()), |text| check_message(&text));
}

/// Some bytes replaced by random ones: most results are not UTF-8.
fn garbled(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    (text, vec((any::<Index>(), any::<u8>()), 1..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len() + 1);
            match bytes.get_mut(place) {
                Some(changed) => *changed = byte,
                None => bytes.push(byte),
            }
        }
        bytes
    })
}

/// Text that is not UTF-8 never reaches the decoder: it causes -32700, or ends the connection.
/// serde_json does not accept it as JSON either.
fn check_bytes(bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => check_message(text),
        Err(_) => assert!(serde_json::from_slice::<&RawValue>(bytes).is_err(), "{bytes:?}"),
    }
}

#[test]
fn any_bytes_are_decoded_as_the_reference_decodes_them() {
    run(5_000, vec(any::<u8>(), 0..100), |bytes| check_bytes(&bytes));
    run(5_000, vec(0..0x80_u8, 0..60), |bytes| check_bytes(&bytes));
    run(5_000, garbled(message()), |bytes| check_bytes(&bytes));
}

#[test]
fn every_argument_is_what_serde_json_makes_of_it() {
    run(2_000, value(), |text| check_arguments(&text));
    run(1_000, broken(value()), |text| check_arguments(&text));
}

/// The seeds of the fuzz targets, and the inputs that the targets have found.
fn each_seed(target: &str, check: fn(&str)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds");
    let mut seen = 0;
    for entry in std::fs::read_dir(format!("{folder}/{target}")).unwrap() {
        check(&String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()));
        seen += 1;
    }
    assert!(seen > 5, "only {seen} seeds were found");
}

#[test]
fn every_seed_is_decoded_as_the_reference_decodes_it() {
    each_seed("message", check_message);
    each_seed("arguments", check_arguments);
}
