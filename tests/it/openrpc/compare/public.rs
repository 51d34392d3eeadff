//! Documents in the shape of public ones: Ethereum's execution APIs, Filecoin's Lotus, Zcash's Zebra.
//! Each is a small excerpt, written anew, with a next version that might follow.

use wsjsonrpc::openrpc::Document;

use super::check;

/// OpenRPC 1.2.4, no `paramStructure`, `$ref`s with a title beside them, numbers as text.
const ETHEREUM: &str = r##"{
    "openrpc": "1.2.4",
    "info": {"title": "Execution API", "license": {"name": "CC0-1.0"}, "version": "0.0.0"},
    "methods": [
        {
            "name": "eth_accounts",
            "summary": "Lists accounts.",
            "params": [],
            "result": {"name": "Accounts", "schema": {
                "title": "Accounts", "type": "array", "items": {"$ref": "#/components/schemas/address"}}}
        },
        {
            "name": "eth_getBalance",
            "summary": "The balance of an account.",
            "params": [
                {"name": "Address", "required": true, "schema": {"$ref": "#/components/schemas/address"}},
                {"name": "Block", "required": true,
                    "schema": {"$ref": "#/components/schemas/BlockNumberOrTag"}}
            ],
            "result": {"name": "Balance", "schema": {"$ref": "#/components/schemas/uint"}}
        },
        {
            "name": "eth_getBlockByNumber",
            "summary": "One block.",
            "params": [
                {"name": "Block", "required": true,
                    "schema": {"$ref": "#/components/schemas/BlockNumberOrTag"}},
                {"name": "Hydrated transactions", "required": true,
                    "schema": {"title": "hydrated", "type": "boolean"}}
            ],
            "result": {"name": "Block information", "schema": {"oneOf": [
                {"$ref": "#/components/schemas/notFound"},
                {"$ref": "#/components/schemas/Block"}
            ]}},
            "errors": [{"code": -39001, "message": "Unknown block"}]
        }
    ],
    "components": {"schemas": {
        "address": {"title": "hex address", "type": "string", "pattern": "^0x[0-9,a-f,A-F]{40}$"},
        "uint": {"title": "hex number", "type": "string", "pattern": "^0x([1-9a-f]+[0-9a-f]*|0)$"},
        "hash32": {"title": "32 hex bytes", "type": "string", "pattern": "^0x[0-9a-f]{64}$"},
        "notFound": {"title": "Not Found (null)", "type": "null"},
        "BlockTag": {"title": "Tag", "type": "string", "enum": ["earliest", "latest", "pending"]},
        "BlockNumberOrTag": {"title": "Number or tag", "oneOf": [
            {"title": "Number", "$ref": "#/components/schemas/uint"},
            {"title": "Tag", "$ref": "#/components/schemas/BlockTag"}
        ]},
        "Transaction": {"type": "object", "required": ["nonce"], "properties": {
            "nonce": {"title": "nonce", "$ref": "#/components/schemas/uint"}}},
        "Block": {"title": "Block", "type": "object",
            "required": ["number", "totalDifficulty", "transactions"],
            "properties": {
                "number": {"title": "Number", "$ref": "#/components/schemas/uint"},
                "totalDifficulty": {"title": "Difficulty", "$ref": "#/components/schemas/uint"},
                "transactions": {"anyOf": [
                    {"title": "Hashes", "type": "array", "items": {"$ref": "#/components/schemas/hash32"}},
                    {"title": "Full", "type": "array", "items": {"$ref": "#/components/schemas/Transaction"}}
                ]}
            }}
    }}
}"##;

#[test]
fn ethereum() {
    let new = edited(
        ETHEREUM,
        &[
            // Tags since the merge.
            (
                r#"["earliest", "latest", "pending"]"#,
                r#"["earliest", "finalized", "safe", "latest", "pending"]"#,
            ),
            // A block can be chosen by its hash too, and is the latest if it is left out.
            (
                r##""BlockNumberOrTag": {"title": "Number or tag", "oneOf": ["##,
                r##""BlockNumberOrTagOrHash": {"title": "Number, tag or hash", "anyOf": [
                {"title": "Number", "$ref": "#/components/schemas/uint"},
                {"title": "Tag", "$ref": "#/components/schemas/BlockTag"},
                {"title": "Hash", "$ref": "#/components/schemas/hash32"}
            ]},
            "BlockNumberOrTag": {"title": "Block number or tag", "oneOf": ["##,
            ),
            (
                r##"{"name": "Block", "required": true,
                    "schema": {"$ref": "#/components/schemas/BlockNumberOrTag"}}
            ],
            "result": {"name": "Balance""##,
                r##"{"name": "Block", "required": false,
                    "schema": {"$ref": "#/components/schemas/BlockNumberOrTagOrHash"}}
            ],
            "result": {"name": "Balance""##,
            ),
            // Blocks after the merge.
            (
                r#""required": ["number", "totalDifficulty", "transactions"]"#,
                r#""required": ["number", "transactions"]"#,
            ),
            (
                r##""required": ["nonce"], "properties": {"##,
                r##""required": ["nonce"], "properties": {
                "type": {"type": "string", "pattern": "^0x[0-9a-f]{1,2}$"},"##,
            ),
            (
                r#""name": "eth_accounts""#,
                r#""name": "eth_signers", "x-aliases": ["eth_accounts"]"#,
            ),
            ("Unknown block", "unknown block"),
            (r#""version": "0.0.0""#, r#""version": "0.1.0""#),
        ],
    );
    let wrong = check(
        "Ethereum",
        (&parse(ETHEREUM), &new),
        (
            &[
                "eth_accounts: method renamed: `eth_signers`, the old name is an alias; breaks implementers",
                "eth_getBalance: param `Block`: is now optional; breaks implementers",
                "eth_getBalance: param `Block`: accepts more: at least one alternative must match, not exactly one; breaks implementers",
                "eth_getBalance: param `Block`: accepts more: also string matching `^0x[0-9a-f]{64}$`; breaks implementers",
                r#"eth_getBalance: param `Block`(BlockTag): accepts more: also "finalized" and "safe"; breaks implementers"#,
                r#"eth_getBlockByNumber: param `Block`(BlockTag): accepts more: also "finalized" and "safe"; breaks implementers"#,
                "eth_getBlockByNumber: result.totalDifficulty: is now optional; breaks callers",
                "eth_getBlockByNumber: result.transactions(array)[].type: added: optional, string matching `^0x[0-9a-f]{1,2}$`",
                "eth_getBlockByNumber: error -39001: message changed: `Unknown block` -> `unknown block`",
                "document: documentation changed: info",
            ],
            &[
                "eth_signers: method renamed: `eth_accounts`; breaks callers",
                "eth_getBalance: param `Block`: is now required; breaks callers",
                "eth_getBalance: param `Block`: accepts less: exactly one alternative must match, not at least one; breaks callers",
                "eth_getBalance: param `Block`: accepts less: no longer string matching `^0x[0-9a-f]{64}$`; breaks callers",
                r#"eth_getBalance: param `Block`(BlockTag): accepts less: no longer "finalized" or "safe"; breaks callers"#,
                r#"eth_getBlockByNumber: param `Block`(BlockTag): accepts less: no longer "finalized" or "safe"; breaks callers"#,
                "eth_getBlockByNumber: result.totalDifficulty: is now required; breaks implementers",
                "eth_getBlockByNumber: result.transactions(array)[].type: removed: optional, string matching `^0x[0-9a-f]{1,2}$`",
                "eth_getBlockByNumber: error -39001: message changed: `unknown block` -> `Unknown block`",
                "document: documentation changed: info",
            ],
        ),
    );
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// OpenRPC 1.2.6, all params by position, types in a list of one, `items` in a list of one, links to
/// lines of the source.
const FILECOIN: &str = r##"{
    "openrpc": "1.2.6",
    "info": {"title": "Lotus RPC API", "version": "1.34.1"},
    "methods": [
        {
            "name": "Filecoin.ChainGetTipSet",
            "description": "```go\nfunc ChainGetTipSet(selector) TipSet\n```",
            "summary": "No comments.",
            "paramStructure": "by-position",
            "params": [{"name": "p1", "description": "types.TipSetSelector", "summary": "", "schema": {
                "examples": [{"tag": "finalized"}],
                "additionalProperties": false,
                "properties": {
                    "height": {"additionalProperties": false, "type": "object", "properties": {
                        "at": {"title": "number", "type": "number"},
                        "previous": {"type": "boolean"}}},
                    "tag": {"type": "string"}
                },
                "type": ["object"]
            }, "required": true, "deprecated": false}],
            "result": {"name": "*types.TipSet", "description": "*types.TipSet", "summary": "", "schema": {
                "additionalProperties": false, "type": ["object"]
            }, "required": true, "deprecated": false},
            "deprecated": false,
            "externalDocs": {"description": "source", "url": "https://example.com/proxy_gen.go#L807"}
        },
        {
            "name": "Filecoin.EthAddressToFilecoinAddress",
            "paramStructure": "by-position",
            "params": [{"name": "p1", "schema": {
                "items": [{"title": "number", "description": "A number", "type": ["number"]}],
                "maxItems": 20, "minItems": 20, "type": ["array"]
            }, "required": true, "deprecated": false}],
            "result": {"name": "address.Address", "schema": {"$ref": "#/components/schemas/Address"}},
            "deprecated": false,
            "externalDocs": {"description": "source", "url": "https://example.com/proxy_gen.go#L840"}
        },
        {
            "name": "Filecoin.StateDecode",
            "paramStructure": "by-position",
            "params": [],
            "result": {"name": "map", "schema": {
                "patternProperties": {".*": {"additionalProperties": true, "type": "object"}},
                "type": ["object"]
            }},
            "externalDocs": {"description": "source", "url": "https://example.com/proxy_gen.go#L900"}
        }
    ],
    "components": {"schemas": {
        "Address": {"additionalProperties": false, "type": ["object"]}
    }}
}"##;

#[test]
fn filecoin() {
    let new = edited(
        FILECOIN,
        &[
            // Lines of the source moved, and nothing else.
            ("#L900", "#L912"),
            (
                r#""at": {"title": "number", "type": "number"}"#,
                r#""at": {"title": "number", "type": "integer"}"#,
            ),
            (
                r#""tag": {"type": "string"}"#,
                r#""tag": {"type": "string"}, "key": {"type": "string"}"#,
            ),
            (
                r#""schema": {
                "additionalProperties": false, "type": ["object"]
            }, "required": true"#,
                r#""schema": {
                "additionalProperties": false, "type": ["object"], "properties": {"Height": {"type": "number"}}
            }, "required": true"#,
            ),
            // Without names on the wire, another name changes nothing.
            (
                r#""params": [{"name": "p1", "schema": {
                "items""#,
                r#""params": [{"name": "address", "schema": {
                "items""#,
            ),
            (
                r#""maxItems": 20, "minItems": 20, "type": ["array"]
            }, "required": true, "deprecated": false}]"#,
                r#""maxItems": 20, "minItems": 20, "type": ["array"]
            }, "required": true, "deprecated": false},
            {"name": "p2", "schema": {"type": "boolean"}, "required": false}]"#,
            ),
            (
                r#""Address": {"additionalProperties": false, "type": ["object"]}"#,
                r#""Address": {"type": "string", "pattern": "^[ft]"}"#,
            ),
            (
                r##""deprecated": false,
            "externalDocs": {"description": "source", "url": "https://example.com/proxy_gen.go#L840"}"##,
                r##""deprecated": true,
            "externalDocs": {"description": "source", "url": "https://example.com/proxy_gen.go#L840"}"##,
            ),
        ],
    );
    let wrong = check(
        "Filecoin",
        (&parse(FILECOIN), &new),
        (
            &[
                "Filecoin.ChainGetTipSet: param `p1`.key: added: optional, string; breaks implementers",
                "Filecoin.ChainGetTipSet: param `p1`.height.at: accepts less: number -> integer; breaks callers",
                "Filecoin.ChainGetTipSet: result.Height: added: optional, number; breaks callers",
                "Filecoin.EthAddressToFilecoinAddress: param `p1`: renamed: `address`",
                "Filecoin.EthAddressToFilecoinAddress: param `p2`: added: optional, boolean; breaks implementers",
                "Filecoin.EthAddressToFilecoinAddress: result: returns other values: Address -> string matching `^[ft]`; breaks callers and implementers",
                "Filecoin.EthAddressToFilecoinAddress: is now deprecated",
                "Filecoin.StateDecode: documentation changed: externalDocs",
            ],
            &[
                "Filecoin.ChainGetTipSet: param `p1`.key: removed: optional, string; breaks callers",
                "Filecoin.ChainGetTipSet: param `p1`.height.at: accepts more: integer -> number; breaks implementers",
                "Filecoin.ChainGetTipSet: result.Height: removed: optional, number; breaks implementers",
                "Filecoin.EthAddressToFilecoinAddress: param `p2`: removed: optional, boolean; breaks callers",
                "Filecoin.EthAddressToFilecoinAddress: param `address`: renamed: `p1`",
                "Filecoin.EthAddressToFilecoinAddress: result: returns other values: string matching `^[ft]` -> Address; breaks callers and implementers",
                "Filecoin.EthAddressToFilecoinAddress: is no longer deprecated",
                "Filecoin.StateDecode: documentation changed: externalDocs",
            ],
        ),
    );
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// Generated from Rust types by schemars, with draft 7 and all types under `components/schemas`.
const ZCASH: &str = r##"{
    "openrpc": "1.3.2",
    "info": {"title": "Zebra", "description": "A node.", "version": "2.4.0"},
    "methods": [
        {
            "name": "getinfo",
            "summary": "Facts about the node.",
            "description": "Facts about the node.",
            "params": [],
            "result": {"name": "GetInfo", "summary": "", "description": "", "required": false,
                "schema": {"$ref": "#/components/schemas/GetInfo"}, "deprecated": false}
        },
        {
            "name": "getblock",
            "summary": "A block.",
            "params": [
                {"name": "hash_or_height", "required": true, "schema": {"type": "string"}},
                {"name": "verbosity", "required": false,
                    "schema": {"type": ["integer", "null"], "format": "uint8", "minimum": 0, "maximum": 255}}
            ],
            "result": {"name": "GetBlock", "schema": {"$ref": "#/components/schemas/GetBlock"}}
        },
        {
            "name": "getaddressbalance",
            "summary": "The balance of addresses.",
            "params": [{"name": "address_strings", "required": true,
                "schema": {"$ref": "#/components/schemas/AddressStrings"}}],
            "result": {"name": "AddressBalance", "schema": {"type": "object", "required": ["balance"],
                "properties": {"balance": {"type": "integer", "format": "uint64", "minimum": 0}}}}
        }
    ],
    "components": {"schemas": {
        "GetInfo": {"type": "object", "required": ["build", "version"], "properties": {
            "build": {"description": "The build.", "type": "string"},
            "version": {"type": "integer", "format": "uint64", "minimum": 0}}},
        "GetBlock": {"description": "Text or an object.", "anyOf": [
            {"description": "Hex.", "allOf": [{"$ref": "#/components/schemas/HexData"}]},
            {"description": "Parsed.", "allOf": [{"$ref": "#/components/schemas/BlockObject"}]}]},
        "HexData": {"type": "array", "items": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}},
        "BlockObject": {"type": "object", "required": ["hash", "confirmations", "tx"], "properties": {
            "hash": {"$ref": "#/components/schemas/Hash"},
            "confirmations": {"type": "integer", "format": "int64"},
            "tx": {"type": "array", "items": {"type": "string"}},
            "previousblockhash": {"anyOf": [{"$ref": "#/components/schemas/Hash"}, {"type": "null"}]}}},
        "Hash": {"type": "array", "items": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
            "minItems": 32, "maxItems": 32},
        "AddressStrings": {"type": "object", "required": ["addresses"], "properties": {
            "addresses": {"type": "array", "items": {"type": "string"}}}}
    }}
}"##;

#[test]
fn zcash() {
    let new = edited(
        ZCASH,
        &[
            // Other names of types, the same content.
            ("GetInfo", "GetInfoResponse"),
            ("schemas/GetBlock", "schemas/GetBlockResponse"),
            (r#""GetBlock": {"description""#, r#""GetBlockResponse": {"description""#),
            // Hashes as text.
            (
                r#""Hash": {"type": "array", "items": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
            "minItems": 32, "maxItems": 32}"#,
                r#""Hash": {"type": "string", "minLength": 64, "maxLength": 64}"#,
            ),
            (r#""format": "int64"}"#, r#""format": "int32"}"#),
            // An address alone is accepted too.
            (
                r#""AddressStrings": {"type": "object", "required": ["addresses"], "properties": {
            "addresses": {"type": "array", "items": {"type": "string"}}}}"#,
                r#""AddressStrings": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["addresses"],
            "properties": {"addresses": {"type": "array", "items": {"type": "string"}}}}]}"#,
            ),
            (
                r#""required": ["balance"],
                "properties": {"balance""#,
                r#""required": ["balance", "received"],
                "properties": {"received": {"type": "integer", "format": "uint64", "minimum": 0}, "balance""#,
            ),
        ],
    );
    let wrong = check(
        "Zcash",
        (&parse(ZCASH), &new),
        (
            &[
                "getinfo: documentation changed: name of the result",
                "getblock: result(BlockObject).confirmations: returns less: integer (int64) -> integer (int32); breaks implementers",
                "getblock: result(BlockObject).hash: returns other values: Hash -> string, length 64; breaks callers and implementers",
                "getblock: result(BlockObject).previousblockhash: returns other values: Hash -> string, length 64; breaks callers and implementers",
                "getaddressbalance: param `address_strings`: accepts more: also string; breaks implementers",
                "getaddressbalance: result.received: added: required, integer (uint64), at least 0; breaks implementers",
            ],
            &[
                "getinfo: documentation changed: name of the result",
                "getblock: result(BlockObject).confirmations: returns more: integer (int32) -> integer (int64); breaks callers",
                "getblock: result(BlockObject).hash: returns other values: string, length 64 -> Hash; breaks callers and implementers",
                "getblock: result(BlockObject).previousblockhash: returns other values: string, length 64 -> Hash; breaks callers and implementers",
                "getaddressbalance: param `address_strings`: accepts less: no longer string; breaks callers",
                "getaddressbalance: result.received: removed: required, integer (uint64), at least 0; breaks callers",
            ],
        ),
    );
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

fn parse(text: &str) -> Document {
    text.parse().unwrap()
}

/// The next version of a document. Each text that is replaced must exist.
fn edited(text: &str, edits: &[(&str, &str)]) -> Document {
    let mut text = text.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "not found: {from}");
        text = text.replace(from, to);
    }
    parse(&text)
}
