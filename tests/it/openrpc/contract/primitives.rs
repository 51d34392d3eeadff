//! Numbers, texts, and what wraps one value.

use std::cmp::Reverse;
use std::num::{NonZeroI64, NonZeroU8, NonZeroU64, Wrapping};
use std::sync::{Arc, Mutex};

use super::cases::{case, echoes};

const WIDTH: &str = "`format` has the width, and no keyword limits the number";

echoes! {
    Primitives, PrimitivesClient;
    small(i8): [0, i8::MIN, i8::MAX], case().refuses(&["-129", "128", "\"1\""]);
    short(i16): [-1, i16::MIN, i16::MAX], case().refuses(&["-32769", "32768"]);
    int(i32): [0, i32::MIN, i32::MAX], case().loose(WIDTH, &["2147483648", "-2147483649"]);
    long(i64): [0, i64::MIN, i64::MAX], case().accepts(&["9007199254740993"]).loose(WIDTH, &["9223372036854775808"]);
    byte(u8): [0, u8::MAX], case().refuses(&["-1", "256"]);
    word(u16): [0, u16::MAX], case().refuses(&["65536"]);
    unsigned(u32): [0, u32::MAX], case().refuses(&["-1"]).loose(WIDTH, &["4294967296"]);
    unsigned_long(u64): [0, u64::MAX], case().refuses(&["-1"]).loose(WIDTH, &["18446744073709551616"]);
    size(usize): [0, 7], case();
    signed_size(isize): [-7, 7], case();
    // Larger integers than 64 bits are checked as floats here.
    huge(i128): [0, i128::from(i64::MIN), i128::MAX, i128::MIN], case();
    unsigned_huge(u128): [0, u128::from(u64::MAX) + 1, u128::MAX], case().refuses(&["-1"]);
    some_byte(NonZeroU8): [NonZeroU8::MIN, NonZeroU8::MAX], case().refuses(&["0", "256"]);
    some_unsigned(NonZeroU64): [NonZeroU64::MAX], case().refuses(&["0"]);
    some_signed(NonZeroI64): [NonZeroI64::MIN, NonZeroI64::MAX], case().refuses(&["0"]);
    float(f32): [0.1, f32::MIN, f32::MAX, f32::MIN_POSITIVE], case().accepts(&["1", "1e3"]).refuses(&["\"NaN\"", "null"]);
    double(f64): [0.0, -0.0, 0.1, f64::MIN, f64::MAX, f64::EPSILON], case().accepts(&["1", "-1e-7"]).refuses(&["null"]);
    boolean(bool): [true, false], case().refuses(&["0", "\"true\""]);
    letter(char): ['a', 'é', '𝄞', '\0', '"'], case().refuses(&["\"\"", "\"ab\"", "97"]);
    text(String): [String::new(), "line\n\"é\" 𝄞".to_owned()], case().refuses(&["1"]);
    boxed_text(Box<str>): ["x".into()], case();
    shared_text(Arc<str>): ["x".into()], case();
    unit(()): [()], case().refuses(&["0", "{}"]);
    optional(Option<u8>): [None, Some(7)], case().refuses(&["\"7\"", "256"]);
    optional_text(Option<String>): [None, Some("x".into())], case();
    nested_optional(Option<Option<i8>>): [None, Some(Some(-1))], case();
    boxed(Box<u32>): [Box::new(7)], case();
    shared(Arc<i64>): [Arc::new(7)], case();
    reversed(Reverse<u8>): [Reverse(7)], case();
    wrapping(Wrapping<i8>): [Wrapping(-7)], case();
    locked(Mutex<u8>): [Mutex::new(7)], case();
}
