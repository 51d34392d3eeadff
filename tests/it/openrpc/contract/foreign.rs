//! Types of the standard library and of other crates.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value, json};
use uuid::Uuid;

use super::cases::{OTHER_MEMBERS, case, echoes};

const FORMAT: &str = "JSON Schema does not define this format";

fn instant(nanos: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, nanos).unwrap()
}

echoes! {
    Foreign, ForeignClient;
    duration(Duration): [Duration::ZERO, Duration::MAX, Duration::from_millis(1500)],
        case().refuses(&["1.5", r#"{"secs":1}"#, r#"{"secs":-1,"nanos":0}"#]).loose(OTHER_MEMBERS, &[r#"{"secs":1,"nanos":0,"x":1}"#]);
    system_time(SystemTime): [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_millis(1500)],
        case().refuses(&["1700000000"]).loose(OTHER_MEMBERS, &[r#"{"secs_since_epoch":1,"nanos_since_epoch":0,"x":1}"#]);
    bytes_(Bytes): [Bytes::new(), Bytes::from_static(&[0, 255])], case().accepts(&["\"text\""]).refuses(&["[256]"]);
    date_time(DateTime<Utc>): [instant(0), instant(1), instant(999_000_000)], case()
        .accepts(&[r#""2024-02-29T23:59:59+02:00""#])
        .refuses(&[r#""yesterday""#, r#""2024-02-30T00:00:00Z""#, r#""2024-02-29T00:00:00""#, "1700000000"]);
    offset(DateTime<FixedOffset>): [instant(1).with_timezone(&FixedOffset::west_opt(3600).unwrap())], case();
    date(NaiveDate): [NaiveDate::MIN.max(NaiveDate::from_ymd_opt(1, 1, 1).unwrap()), NaiveDate::from_ymd_opt(2024, 2, 29).unwrap()],
        case().refuses(&[r#""2023-02-29""#, r#""29.2.2024""#]);
    date_time_without_zone(NaiveDateTime): [instant(1).naive_utc()], case().loose(FORMAT, &["\"yesterday\""]);
    time(NaiveTime): [NaiveTime::MIN, instant(1).time()], case().loose(FORMAT, &["\"25:00:00\""]);
    weekday(Weekday): [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun], case();
    time_delta(TimeDelta): [TimeDelta::zero(), TimeDelta::milliseconds(-1500)], case();
    uuid(Uuid): [Uuid::nil(), Uuid::max(), Uuid::from_u128(0x6ba7b810_9dad_11d1_80b4_00c04fd430c8)],
        case().refuses(&[r#""6ba7b810""#, "1"]);
    ip(IpAddr): [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], case().loose(FORMAT, &["\"localhost\""]);
    ip4(Ipv4Addr): [Ipv4Addr::LOCALHOST], case().refuses(&[r#""::1""#]);
    ip6(Ipv6Addr): [Ipv6Addr::LOCALHOST], case().refuses(&[r#""127.0.0.1""#]);
    socket(SocketAddr): [(Ipv4Addr::LOCALHOST, 80).into(), (Ipv6Addr::LOCALHOST, 80).into()], case().loose("the schema has no format", &["\"localhost:80\""]);
    path(PathBuf): ["/a/b".into()], case();
    any(Value): [Value::Null, json!({"a": [1, 0.5, "x", null, {}]})], case();
    object(Map<String, Value>): [Map::new(), [("a".to_owned(), json!([1]))].into_iter().collect()], case().refuses(&["[]", "null"]);
    number(Number): [Number::from(u64::MAX), Number::from(-1), Number::from_f64(0.5).unwrap()], case().refuses(&["\"1\""]);
    raw(Box<RawValue>): [to_raw_value(&json!({"a": [1]})).unwrap(), to_raw_value("x").unwrap()], case();
    raws(BTreeMap<String, Box<RawValue>>): [[("a".to_owned(), to_raw_value(&1).unwrap())].into()], case();
}
