//! Types of params and results.

use wsjsonrpc::openrpc::{Change, ChangeKind, Document, compare};

use super::{check, document};

type Lines = &'static [&'static str];

/// Schemas of a param, and what changes from the first to the second and back. The lines are without
/// the method and the param.
const ROWS: &[(&str, &str, Lines, Lines)] = &[
    (
        r#"{"type":"integer","format":"int64"}"#,
        r#"{"type":"integer","format":"int32"}"#,
        &["accepts less: integer (int64) -> integer (int32); breaks callers"],
        &["accepts more: integer (int32) -> integer (int64); breaks implementers"],
    ),
    (
        r#"{"type":"integer","format":"int64"}"#,
        r#"{"type":"integer","format":"uint64","minimum":0}"#,
        &[
            "accepts other values: integer (int64) -> integer (uint64), at least 0; breaks callers and implementers",
        ],
        &[
            "accepts other values: integer (uint64), at least 0 -> integer (int64); breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"integer","format":"uint32","minimum":0}"#,
        r#"{"type":"integer","format":"int64"}"#,
        &["accepts more: integer (uint32), at least 0 -> integer (int64); breaks implementers"],
        &["accepts less: integer (int64) -> integer (uint32), at least 0; breaks callers"],
    ),
    (
        r#"{"type":"integer","format":"uint8","minimum":0,"maximum":255}"#,
        r#"{"type":"integer","format":"uint8"}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":"integer","format":"uint64","minimum":0}"#,
        r#"{"type":"integer","format":"uint128","minimum":0}"#,
        &[
            "accepts more: integer (uint64), at least 0 -> integer (uint128), at least 0; breaks implementers",
        ],
        &[
            "accepts less: integer (uint128), at least 0 -> integer (uint64), at least 0; breaks callers",
        ],
    ),
    (r#"{"type":"integer","format":"uint"}"#, r#"{"type":"integer","format":"uint64"}"#, &[], &[]),
    (
        r#"{"type":"integer"}"#,
        r#"{"type":"number"}"#,
        &["accepts more: integer -> number; breaks implementers"],
        &["accepts less: number -> integer; breaks callers"],
    ),
    (
        r#"{"type":"number","format":"double"}"#,
        r#"{"type":"number","format":"float"}"#,
        &["accepts less: number (double) -> number (float); breaks callers"],
        &["accepts more: number (float) -> number (double); breaks implementers"],
    ),
    (r#"{"type":"number","format":"double"}"#, r#"{"type":"number"}"#, &[], &[]),
    (
        r#"{"type":"integer","format":"int64"}"#,
        r#"{"type":"string"}"#,
        &["accepts other values: integer (int64) -> string; breaks callers and implementers"],
        &["accepts other values: string -> integer (int64); breaks callers and implementers"],
    ),
    (
        r#"{"type":"number","minimum":0,"maximum":10}"#,
        r#"{"type":"number","minimum":0.5,"maximum":20}"#,
        &[
            "accepts other values: number, at least 0, at most 10 -> number, at least 0.5, at most 20; breaks callers and implementers",
        ],
        &[
            "accepts other values: number, at least 0.5, at most 20 -> number, at least 0, at most 10; breaks callers and implementers",
        ],
    ),
    (r#"{"type":"integer","minimum":1}"#, r#"{"type":"integer","exclusiveMinimum":0}"#, &[], &[]),
    (
        r#"{"type":"number","minimum":0}"#,
        r#"{"type":"number","exclusiveMinimum":0}"#,
        &["accepts less: number, at least 0 -> number, greater than 0; breaks callers"],
        &["accepts more: number, greater than 0 -> number, at least 0; breaks implementers"],
    ),
    (
        r#"{"type":"number","maximum":7}"#,
        r#"{"type":"number","exclusiveMaximum":7}"#,
        &["accepts less: number, at most 7 -> number, less than 7; breaks callers"],
        &["accepts more: number, less than 7 -> number, at most 7; breaks implementers"],
    ),
    (
        r#"{"type":"integer","multipleOf":2}"#,
        r#"{"type":"integer","multipleOf":4}"#,
        &["accepts less: integer, a multiple of 2 -> integer, a multiple of 4; breaks callers"],
        &[
            "accepts more: integer, a multiple of 4 -> integer, a multiple of 2; breaks implementers",
        ],
    ),
    (
        r#"{"type":"integer","multipleOf":2}"#,
        r#"{"type":"integer","multipleOf":3}"#,
        &[
            "accepts other values: integer, a multiple of 2 -> integer, a multiple of 3; breaks callers and implementers",
        ],
        &[
            "accepts other values: integer, a multiple of 3 -> integer, a multiple of 2; breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"number","multipleOf":0.1}"#,
        r#"{"type":"number","multipleOf":0.5}"#,
        &[
            "accepts other values: number, a multiple of 0.1 -> number, a multiple of 0.5; breaks callers and implementers",
        ],
        &[
            "accepts other values: number, a multiple of 0.5 -> number, a multiple of 0.1; breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"number","minimum":0,"exclusiveMinimum":true}"#,
        r#"{"type":"number","minimum":0}"#,
        &[
            "accepts other values: number, at least 0, greater than true -> number, at least 0; breaks callers and implementers",
        ],
        &[
            "accepts other values: number, at least 0 -> number, at least 0, greater than true; breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"string","minLength":1}"#,
        r#"{"type":"string","minLength":2,"maxLength":9}"#,
        &[
            "accepts less: string, length at least 1 -> string, length at least 2, length at most 9; breaks callers",
        ],
        &[
            "accepts more: string, length at least 2, length at most 9 -> string, length at least 1; breaks implementers",
        ],
    ),
    (r#"{"type":"string","minLength":0}"#, r#"{"type":"string"}"#, &[], &[]),
    (
        r#"{"type":"string"}"#,
        r#"{"type":"string","format":"uuid"}"#,
        &["accepts less: string -> string (uuid); breaks callers"],
        &["accepts more: string (uuid) -> string; breaks implementers"],
    ),
    (
        r#"{"type":"string","format":"uuid"}"#,
        r#"{"type":"string","format":"date-time"}"#,
        &[
            "accepts other values: string (uuid) -> string (date-time); breaks callers and implementers",
        ],
        &[
            "accepts other values: string (date-time) -> string (uuid); breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"string"}"#,
        r#"{"type":"string","pattern":"^0x"}"#,
        &["accepts less: string -> string matching `^0x`; breaks callers"],
        &["accepts more: string matching `^0x` -> string; breaks implementers"],
    ),
    (
        r#"{"type":"string","pattern":"^0x"}"#,
        r#"{"type":"string","pattern":"^0y"}"#,
        &[
            "accepts other values: string matching `^0x` -> string matching `^0y`; breaks callers and implementers",
        ],
        &[
            "accepts other values: string matching `^0y` -> string matching `^0x`; breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"string","enum":["a","b"]}"#,
        r#"{"type":"string","enum":["b","c"]}"#,
        &[r#"accepts other values: no longer "a", but "c"; breaks callers and implementers"#],
        &[r#"accepts other values: no longer "c", but "a"; breaks callers and implementers"#],
    ),
    (
        r#"{"enum":["b","a"]}"#,
        r#"{"oneOf":[{"const":"a"},{"type":"string","const":"b","description":"B."}]}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":"string"}"#,
        r#"{"enum":["a","b"]}"#,
        &[r#"accepts less: string -> "a" or "b"; breaks callers"#],
        &[r#"accepts more: "a" or "b" -> string; breaks implementers"#],
    ),
    (
        r#"{"enum":["a"]}"#,
        r#"{"type":"string","minLength":1}"#,
        &[
            r#"accepts other values: "a" -> string, length at least 1; breaks callers and implementers"#,
        ],
        &[
            r#"accepts other values: string, length at least 1 -> "a"; breaks callers and implementers"#,
        ],
    ),
    (
        r#"{"enum":[1,2]}"#,
        r#"{"type":"integer","minimum":0}"#,
        &["accepts more: 1 or 2 -> integer, at least 0; breaks implementers"],
        &["accepts less: integer, at least 0 -> 1 or 2; breaks callers"],
    ),
    (
        r#"{"const":1}"#,
        r#"{"const":2}"#,
        &["accepts other values: no longer 1, but 2; breaks callers and implementers"],
        &["accepts other values: no longer 2, but 1; breaks callers and implementers"],
    ),
    (r#"{"enum":[true,false]}"#, r#"{"type":"boolean"}"#, &[], &[]),
    (r#"{"enum":["a",null]}"#, r#"{"anyOf":[{"const":"a"},{"type":"null"}]}"#, &[], &[]),
    (
        r#"{"type":"string"}"#,
        r#"{"type":["string","null"]}"#,
        &["accepts more: also null; breaks implementers"],
        &["accepts less: no longer null; breaks callers"],
    ),
    (
        r#"{"type":["string","null"],"minLength":1}"#,
        r#"{"anyOf":[{"type":"string","minLength":1},{"type":"null"}]}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":["string","null"]}"#,
        r#"{"type":["string","integer"]}"#,
        &["accepts other values: no longer null, but integer; breaks callers and implementers"],
        &["accepts other values: no longer integer, but null; breaks callers and implementers"],
    ),
    (
        r#"{"type":["string","null"],"format":"uuid"}"#,
        r#"{"type":["null","string"]}"#,
        &["accepts more: string (uuid) -> string; breaks implementers"],
        &["accepts less: string -> string (uuid); breaks callers"],
    ),
    (
        r#"{}"#,
        r#"{"type":"string"}"#,
        &["accepts less: any value -> string; breaks callers"],
        &["accepts more: string -> any value; breaks implementers"],
    ),
    (r#"true"#, r#"{}"#, &[], &[]),
    (
        r#"true"#,
        r#"false"#,
        &["accepts less: any value -> nothing; breaks callers"],
        &["accepts more: nothing -> any value; breaks implementers"],
    ),
    (
        r#"{"type":"string"}"#,
        r#"false"#,
        &["accepts less: string -> nothing; breaks callers"],
        &["accepts more: nothing -> string; breaks implementers"],
    ),
    (
        r#"{"type":"array","items":{"type":"integer"}}"#,
        r#"{"type":"array","items":{"type":"number"}}"#,
        &["[]: accepts more: integer -> number; breaks implementers"],
        &["[]: accepts less: number -> integer; breaks callers"],
    ),
    (
        r#"{"type":"array","items":{"type":"integer"}}"#,
        r#"{"type":"array"}"#,
        &["[]: accepts more: integer -> any value; breaks implementers"],
        &["[]: accepts less: any value -> integer; breaks callers"],
    ),
    (
        r#"{"type":"array","minItems":1}"#,
        r#"{"type":"array","maxItems":5,"uniqueItems":true}"#,
        &[
            "accepts more: at least 1 -> at least 0 elements; breaks implementers",
            "accepts less: any number of -> at most 5 elements; breaks callers",
            "accepts less: elements must be unique; breaks callers",
        ],
        &[
            "accepts less: at least 0 -> at least 1 elements; breaks callers",
            "accepts more: at most 5 -> any number of elements; breaks implementers",
            "accepts more: elements need not be unique; breaks implementers",
        ],
    ),
    (
        r#"{"type":"array","items":[{"type":"integer"},{"type":"string"}],"minItems":2,"maxItems":2}"#,
        r#"{"type":"array","items":[{"type":"integer"},{"type":"boolean"},{}],"minItems":3,"maxItems":3}"#,
        &[
            "accepts less: at least 2 -> at least 3 elements; breaks callers",
            "accepts more: at most 2 -> at most 3 elements; breaks implementers",
            "[1]: accepts other values: string -> boolean; breaks callers and implementers",
        ],
        &[
            "accepts more: at least 3 -> at least 2 elements; breaks implementers",
            "accepts less: at most 3 -> at most 2 elements; breaks callers",
            "[1]: accepts other values: boolean -> string; breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"string"}}"#,
        r#"{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"string"}}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":"array","items":[{"type":"integer"}],"additionalItems":false}"#,
        r#"{"type":"array","items":[{"type":"integer"}],"maxItems":1}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":"array","items":{"type":"integer"}}"#,
        r#"{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"integer"}}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
        &[
            ".a: is now required; breaks callers",
            ".a: accepts other values: integer -> string; breaks callers and implementers",
        ],
        &[
            ".a: is now optional; breaks implementers",
            ".a: accepts other values: string -> integer; breaks callers and implementers",
        ],
    ),
    (
        r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        r#"{"type":"object","additionalProperties":{"type":"number"}}"#,
        &[".*: accepts more: integer -> number; breaks implementers"],
        &[".*: accepts less: number -> integer; breaks callers"],
    ),
    (
        r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        r#"{"type":"object","properties":{"a":{"type":"number"}},"additionalProperties":{"type":"integer"}}"#,
        &[".a: accepts more: integer -> number; breaks implementers"],
        &[".a: accepts less: number -> integer; breaks callers"],
    ),
    (
        r#"{"type":"object"}"#,
        r#"{"type":"object","additionalProperties":false}"#,
        &["accepts less: other members are not allowed; breaks callers"],
        &["accepts more: other members are allowed; breaks implementers"],
    ),
    (
        r#"{"type":"object","patternProperties":{"^x":{"type":"integer"}}}"#,
        r#"{"type":"object","patternProperties":{"^x":{"type":"number"},"^y":{}}}"#,
        &[
            "accepts less: members that match `^y` have a type; breaks callers",
            "./^x/: accepts more: integer -> number; breaks implementers",
        ],
        &[
            "accepts more: members that match `^y` have no type; breaks implementers",
            "./^x/: accepts less: number -> integer; breaks callers",
        ],
    ),
    (
        r#"{"type":"object"}"#,
        r#"{"type":"object","propertyNames":{"pattern":"^x"},"minProperties":1}"#,
        &[
            "accepts less: names of members are restricted; breaks callers",
            "accepts less: `minProperties`: none -> 1; breaks callers",
        ],
        &[
            "accepts more: members may have any name; breaks implementers",
            "accepts more: `minProperties`: 1 -> none; breaks implementers",
        ],
    ),
    (
        r#"{"type":"object","properties":{"odd name":{"type":"integer"}}}"#,
        r#"{"type":"object","properties":{"odd name":{"type":"number"}}}"#,
        &[r#"["odd name"]: accepts more: integer -> number; breaks implementers"#],
        &[r#"["odd name"]: accepts less: number -> integer; breaks callers"#],
    ),
    (
        r#"{"anyOf":[{"type":"integer"},{"type":"string"}]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"number"},{"type":"boolean"}]}"#,
        &[
            "accepts more: also boolean; breaks implementers",
            "(number): accepts more: integer -> number; breaks implementers",
        ],
        &[
            "accepts less: no longer boolean; breaks callers",
            "(number): accepts less: number -> integer; breaks callers",
        ],
    ),
    (
        r#"{"oneOf":[{"type":"object","properties":{"kind":{"const":"circle"},"r":{"type":"integer"}}},{"type":"object","properties":{"kind":{"const":"square"},"a":{"type":"integer"}}}]}"#,
        r#"{"oneOf":[{"type":"object","properties":{"kind":{"enum":["square"]},"a":{"type":"integer"}}},{"type":"object","properties":{"kind":{"type":"string","const":"circle"},"r":{"type":"number"}}}]}"#,
        &["(circle).r: accepts more: integer -> number; breaks implementers"],
        &["(circle).r: accepts less: number -> integer; breaks callers"],
    ),
    (
        r#"{"oneOf":[{"type":"object","required":["A"],"properties":{"A":{"type":"integer"}},"additionalProperties":false},{"type":"string","enum":["C"]}]}"#,
        r#"{"oneOf":[{"type":"object","required":["A"],"properties":{"A":{"type":"string"}},"additionalProperties":false},{"type":"object","required":["B"],"properties":{"B":{}},"additionalProperties":false},{"type":"string","enum":["C","D"]}]}"#,
        &[
            "accepts more: also object with `B`; breaks implementers",
            r#"(string): accepts more: also "D"; breaks implementers"#,
            "(A).A: accepts other values: integer -> string; breaks callers and implementers",
        ],
        &[
            "accepts less: no longer object with `B`; breaks callers",
            r#"(string): accepts less: no longer "D"; breaks callers"#,
            "(A).A: accepts other values: string -> integer; breaks callers and implementers",
        ],
    ),
    (
        r#"{"oneOf":[{"type":"integer"},{"type":"string"}]}"#,
        r#"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#,
        &[],
        &[],
    ),
    (
        r#"{"anyOf":[{"type":"integer"},{"minimum":3}]}"#,
        r#"{"oneOf":[{"type":"integer"},{"minimum":3}]}"#,
        &["accepts less: exactly one alternative must match, not at least one; breaks callers"],
        &[
            "accepts more: at least one alternative must match, not exactly one; breaks implementers",
        ],
    ),
    (
        r#"{"allOf":[{"type":"integer","format":"int64"}],"description":"d","default":3}"#,
        r#"{"type":"integer","format":"int64"}"#,
        &[],
        &[],
    ),
    (
        r#"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}}},{"properties":{"b":{"type":"string"}},"required":["b"]}]}"#,
        r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"]}"#,
        &[],
        &[],
    ),
    (
        r#"{"allOf":[{"type":"object","properties":{"a":{}},"additionalProperties":false},{"required":["a"],"properties":{"b":{}}}]}"#,
        r#"{"allOf":[{"type":"object","properties":{"a":{}},"additionalProperties":false}]}"#,
        &["accepts more: `allOf` was removed; breaks implementers"],
        &["accepts less: `allOf` was added; breaks callers"],
    ),
    (
        r#"{"not":{"type":"integer"}}"#,
        r#"{"not":{"type":"number"}}"#,
        &["(not): accepts less: integer -> number; breaks callers"],
        &["(not): accepts more: number -> integer; breaks implementers"],
    ),
    (
        r#"{"not":{"type":"integer"}}"#,
        r#"{}"#,
        &["accepts more: a schema without `type` -> any value; breaks implementers"],
        &["accepts less: any value -> a schema without `type`; breaks callers"],
    ),
    (
        r#"{"type":"string"}"#,
        r#"{"type":"string","not":{"const":""}}"#,
        &["accepts less: `not` was added; breaks callers"],
        &["accepts more: `not` was removed; breaks implementers"],
    ),
    (
        r#"{"type":"object","properties":{"a":{}},"oneOf":[{"required":["a"]},{"required":["b"]}]}"#,
        r#"{"type":"object","properties":{"a":{}},"oneOf":[{"required":["a"]},{"required":["c"]}]}"#,
        &[".b: is now optional; breaks implementers", ".c: is now required; breaks callers"],
        &[".b: is now required; breaks callers", ".c: is now optional; breaks implementers"],
    ),
    (
        r#"{"if":{"type":"string"},"then":{"minLength":1}}"#,
        r#"{"if":{"type":"string"},"then":{"minLength":2}}"#,
        &["accepts other values: `then` was changed; breaks callers and implementers"],
        &["accepts other values: `then` was changed; breaks callers and implementers"],
    ),
    (
        r#"{"if":{"type":"string"},"then":{"minLength":1,"title":"a"}}"#,
        r#"{"if":{"type":"string"},"then":{"minLength":1,"title":"b"}}"#,
        &[],
        &[],
    ),
    (
        r#"{"type":"string","contentEncoding":"base64"}"#,
        r#"{"type":"string","contentEncoding":"base64url"}"#,
        &["accepts other values: `contentEncoding` was changed; breaks callers and implementers"],
        &["accepts other values: `contentEncoding` was changed; breaks callers and implementers"],
    ),
    (
        r#"{"type":"string","x-unit":"m"}"#,
        r#"{"type":"string","x-unit":"km"}"#,
        &["accepts other values: `x-unit` was changed; breaks callers and implementers"],
        &["accepts other values: `x-unit` was changed; breaks callers and implementers"],
    ),
    (
        r#"{"type":"decimal"}"#,
        r#"{"type":"float"}"#,
        &["accepts other values: decimal -> float; breaks callers and implementers"],
        &["accepts other values: float -> decimal; breaks callers and implementers"],
    ),
    (
        r#"5"#,
        r#"6"#,
        &["accepts other values: `(not a schema)` was changed; breaks callers and implementers"],
        &["accepts other values: `(not a schema)` was changed; breaks callers and implementers"],
    ),
    (
        r#"{"type":"string","title":"A","description":"B","examples":["c"],"$comment":"d","deprecated":true}"#,
        r#"{"type":"string"}"#,
        &[],
        &[],
    ),
];

/// The same for schemas with `components/schemas`.
type WithComponents = (&'static str, &'static str);
const REFERENCES: &[(WithComponents, WithComponents, Lines, Lines)] = &[
    (
        (r##"{"$ref":"#/components/schemas/A"}"##, r#""A":{"type":"integer"}"#),
        (r##"{"$ref":"#/components/schemas/B"}"##, r#""B":{"type":"integer"}"#),
        &[],
        &[],
    ),
    (
        (r##"{"$ref":"#/components/schemas/A"}"##, r#""A":{"type":"integer"}"#),
        (r##"{"$ref":"#/components/schemas/A"}"##, r#""A":{"type":"number"}"#),
        &["accepts more: integer -> number; breaks implementers"],
        &["accepts less: number -> integer; breaks callers"],
    ),
    (
        (r##"{"$ref":"#/components/schemas/a~1b%20c~0"}"##, r#""a/b c~":{"type":"integer"}"#),
        (r#"{"type":"integer"}"#, r#""#),
        &[],
        &[],
    ),
    (
        (
            r##"{"type":"array","items":{"$ref":"#/components/schemas/Node"}}"##,
            r##""Node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/components/schemas/Node"},{"type":"null"}]},"value":{"type":"integer"}}}"##,
        ),
        (
            r##"{"type":"array","items":{"$ref":"#/components/schemas/Item"}}"##,
            r##""Item":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/components/schemas/Item"},{"type":"null"}]},"value":{"type":"integer"}}}"##,
        ),
        &[],
        &[],
    ),
    (
        (
            r##"{"$ref":"#/components/schemas/Node"}"##,
            r##""Node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/components/schemas/Node"},{"type":"null"}]},"value":{"type":"integer"}}}"##,
        ),
        (
            r##"{"$ref":"#/components/schemas/Node"}"##,
            r##""Node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/components/schemas/Node"},{"type":"null"}]},"value":{"type":"number"}}}"##,
        ),
        &[".value: accepts more: integer -> number; breaks implementers"],
        &[".value: accepts less: number -> integer; breaks callers"],
    ),
    (
        (
            r##"{"anyOf":[{"$ref":"#/components/schemas/A"},{"$ref":"#/components/schemas/B"}]}"##,
            r#""A":{"type":"object","properties":{"a":{"type":"integer"}}},"B":{"type":"object","properties":{"b":{}}}"#,
        ),
        (
            r##"{"anyOf":[{"$ref":"#/components/schemas/B"},{"$ref":"#/components/schemas/A"}]}"##,
            r#""A":{"type":"object","properties":{"a":{"type":"string"}}},"B":{"type":"object","properties":{"b":{}}}"#,
        ),
        &["(A).a: accepts other values: integer -> string; breaks callers and implementers"],
        &["(A).a: accepts other values: string -> integer; breaks callers and implementers"],
    ),
    (
        (
            r##"{"anyOf":[{"$ref":"#/components/schemas/A"},{"$ref":"#/components/schemas/B"}]}"##,
            r#""A":{"type":"object","properties":{"a":{"type":"integer"}}},"B":{"type":"object","properties":{"b":{}}}"#,
        ),
        (
            r##"{"anyOf":[{"$ref":"#/components/schemas/D"},{"$ref":"#/components/schemas/C"}]}"##,
            r#""C":{"type":"object","properties":{"a":{"type":"integer"}}},"D":{"type":"object","properties":{"b":{}}}"#,
        ),
        &[],
        &[],
    ),
    (
        (
            r##"{"anyOf":[{"$ref":"#/components/schemas/A"},{"$ref":"#/components/schemas/B"}]}"##,
            r#""A":{"type":"object","properties":{"a":{"type":"integer"}}},"B":{"type":"object","properties":{"b":{}}}"#,
        ),
        (
            r##"{"anyOf":[{"$ref":"#/components/schemas/A"},{"$ref":"#/components/schemas/C"},{"$ref":"#/components/schemas/D"}]}"##,
            r#""A":{"type":"object","properties":{"a":{"type":"integer"}}},"C":{"type":"object","properties":{"c":{}}},"D":{"type":"object","properties":{"d":{}}}"#,
        ),
        &["accepts other values: no longer B, but C and D; breaks callers and implementers"],
        &["accepts other values: no longer C or D, but B; breaks callers and implementers"],
    ),
    (
        (
            r##"{"definitions":{"A":{"type":"integer"}},"type":"array","items":{"$ref":"#/definitions/A"}}"##,
            r#""#,
        ),
        (r#"{"type":"array","items":{"type":"integer"}}"#, r#""#),
        &[],
        &[],
    ),
    (
        (r#"{"$ref":"other.json#/A"}"#, r#""#),
        (r#"{"$ref":"other.json#/A","description":"same"}"#, r#""#),
        &[],
        &[],
    ),
    (
        (r#"{"$ref":"other.json#/A"}"#, r#""#),
        (r#"{"$ref":"other.json#/B"}"#, r#""#),
        &[
            "accepts other values: `other.json#/A` -> `other.json#/B`; breaks callers and implementers",
        ],
        &[
            "accepts other values: `other.json#/B` -> `other.json#/A`; breaks callers and implementers",
        ],
    ),
    (
        (r##"{"$ref":"#/components/schemas/Lost"}"##, r#""#),
        (r#"{"type":"integer"}"#, r#""#),
        &[
            "accepts other values: `#/components/schemas/Lost` -> integer; breaks callers and implementers",
        ],
        &[
            "accepts other values: integer -> `#/components/schemas/Lost`; breaks callers and implementers",
        ],
    ),
    (
        (r##"{"$ref":"#/components/schemas/A"}"##, r##""A":{"$ref":"#/components/schemas/A"}"##),
        (
            r##"{"$ref":"#/components/schemas/A"}"##,
            r##""A":{"allOf":[{"$ref":"#/components/schemas/A"}],"anyOf":[{"$ref":"#/components/schemas/A"}]}"##,
        ),
        &["accepts less: any value -> nothing; breaks callers"],
        &["accepts more: nothing -> any value; breaks implementers"],
    ),
    (
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#/components/schemas/A"},"b":{"$ref":"#/components/schemas/A"}}}"##,
            r#""A":{"type":"integer"}"#,
        ),
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#/components/schemas/A"},"b":{"$ref":"#/components/schemas/A"}}}"##,
            r#""A":{"type":"string"}"#,
        ),
        &[".a: accepts other values: integer -> string; breaks callers and implementers"],
        &[".a: accepts other values: string -> integer; breaks callers and implementers"],
    ),
];

fn rows() -> impl Iterator<Item = (WithComponents, WithComponents, Lines, Lines)> {
    let plain = ROWS
        .iter()
        .map(|(old, new, forward, backward)| ((*old, ""), (*new, ""), *forward, *backward));
    plain.chain(REFERENCES.iter().copied())
}

fn with_param((schema, components): WithComponents) -> Document {
    let param = format!(r#"{{"name": "x", "required": true, "schema": {schema}}}"#);
    document(&format!(r#"{{"name": "m", "params": [{param}]}}"#), components)
}

fn with_result((schema, components): WithComponents) -> Document {
    let result = format!(r#"{{"name": "r", "schema": {schema}}}"#);
    document(&format!(r#"{{"name": "m", "params": [], "result": {result}}}"#), components)
}

#[test]
fn each_change_of_a_type_is_found_in_both_directions() {
    let full = |lines: Lines| -> Vec<String> {
        let join = |line: &&str| match line.starts_with(['.', '[', '(']) {
            true => format!("m: param `x`{line}"),
            false => format!("m: param `x`: {line}"),
        };
        lines.iter().map(join).collect()
    };
    let wrong: Vec<String> = rows()
        .filter_map(|(old, new, forward, backward)| {
            let what = format!("{old:?} -> {new:?}");
            let documents = (&with_param(old), &with_param(new));
            check(&what, documents, (&full(forward), &full(backward)))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What narrows a param breaks callers. What narrows a result breaks implementers.
#[test]
fn results_are_the_opposite_of_params() {
    let about = |change: &Change, place: &str| {
        let at = change.at.strip_prefix(place).unwrap().to_owned();
        (at, change.kind, change.detail.clone(), change.breaks_callers, change.breaks_implementers)
    };
    for (old, new, ..) in rows() {
        let params = compare(&with_param(old), &with_param(new));
        let params = params.iter().map(|change| about(change, "param `x`"));
        let results = compare(&with_result(old), &with_result(new));
        let results = results.iter().map(|change| {
            let (at, kind, detail, callers, implementers) = about(change, "result");
            (at, kind, detail, implementers, callers)
        });
        assert_eq!(params.collect::<Vec<_>>(), results.collect::<Vec<_>>(), "{old:?} -> {new:?}");
    }
}

#[test]
fn less_breaks_callers_of_a_param_and_more_its_implementers() {
    for (old, new, ..) in rows() {
        for change in compare(&with_param(old), &with_param(new)) {
            let expected = match change.kind {
                ChangeKind::TypeNarrowed | ChangeKind::MemberRequired => (true, false),
                ChangeKind::TypeWidened | ChangeKind::MemberOptional => (false, true),
                ChangeKind::TypeChanged => (true, true),
                _ => continue,
            };
            assert_eq!((change.breaks_callers, change.breaks_implementers), expected, "{change}");
        }
    }
}

/// A param that accepts one schema also accepts it in a list, in a member and as one of several.
#[test]
fn changes_are_found_at_any_depth() {
    let inside = [
        r#"{"type": "array", "items": SCHEMA}"#,
        r#"{"type": "object", "additionalProperties": SCHEMA}"#,
        r#"{"type": "object", "properties": {"m": SCHEMA}}"#,
        r#"{"type": "array", "items": [{"type": "null"}, SCHEMA]}"#,
        r#"{"allOf": [SCHEMA, {"title": "T"}]}"#,
    ];
    for (old, new, forward, _) in rows() {
        for wrapper in inside {
            let wrap = |(schema, components): WithComponents| {
                let schema = wrapper.replace("SCHEMA", schema);
                let param = format!(r#"{{"name": "x", "required": true, "schema": {schema}}}"#);
                document(&format!(r#"{{"name": "m", "params": [{param}]}}"#), components)
            };
            // Definitions of its own are found only at the root of a schema. A list whose elements
            // match `false` is an empty list.
            let is_never = |(schema, _): WithComponents| schema == "false";
            if old.0.contains("#/definitions") || is_never(old) || is_never(new) {
                continue;
            }
            let breaks = |changes: &[Change]| {
                let kinds = changes
                    .iter()
                    .map(|change| (change.kind, change.detail.clone(), change.breaks_callers));
                kinds.collect::<Vec<_>>()
            };
            let plain = breaks(&compare(&with_param(old), &with_param(new)));
            let wrapped = breaks(&compare(&wrap(old), &wrap(new)));
            assert_eq!(wrapped, plain, "{wrapper}: {forward:?}");
        }
    }
}
