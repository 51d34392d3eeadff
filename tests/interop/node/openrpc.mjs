// Our OpenRPC documents with the official tools (npm @open-rpc/spec, meta-schema, schema-utils-js and
// generator). Arguments: the programs library-server, which is the server of examples/schema, and
// interop-server; then files with documents.

import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";

import { Checks, require } from "./common.mjs";

const Ajv = require("ajv").default;
const jsonSchema = require("@json-schema-tools/meta-schema").default;
const { openrpcDocument } = require("@open-rpc/meta-schema");
const { parseOpenRPCDocument, validateOpenRPCDocument } = require("@open-rpc/schema-utils-js");

const [libraryServer, interopServer, ...files] = process.argv.slice(2);
const nodeDirectory = process.env.WSJSONRPC_NODE_DIR;
const run = promisify(execFile);
const checks = new Checks("npm open-rpc");

/** The lines from the first error on, of what a program printed. */
function shorten(text) {
  const lines = text.trim().split("\n");
  const first = Math.max(0, lines.findIndex((line) => /error/i.test(line)));
  return lines.slice(first, first + 8).join(" | ").slice(0, 1500);
}

/** Whether a program succeeds; if not, what it printed. */
async function succeeds(name, program, args, options = {}) {
  try {
    const { stdout } = await run(program, args, { maxBuffer: 1 << 24, ...options });
    checks.that(name, true);
    return stdout;
  } catch (error) {
    checks.that(name, false, shorten(`${error.stdout ?? ""}\n${error.stderr ?? ""}\n${error.message}`));
    return undefined;
  }
}

// --- Validation. ---

/** A validator of the whole document by one of the official meta-schemas. */
function metaSchema(schema) {
  const { $schema, $id, ...meta } = structuredClone(schema);
  const ajv = new Ajv({ strict: false, validateFormats: false });
  ajv.addSchema(jsonSchema, "https://meta.json-schema.tools");
  return ajv.compile(meta);
}

const spec = (version) =>
  JSON.parse(readFileSync(join(nodeDirectory, `node_modules/@open-rpc/spec/dist/${version}/schema.json`), "utf8"));

const metaSchemas = {
  1.3: {
    "@open-rpc/meta-schema": metaSchema(openrpcDocument),
    "@open-rpc/spec 1.3": metaSchema(spec("1_3")),
  },
  1.4: { "@open-rpc/spec 1.4": metaSchema(spec("1_4")) },
};

const problem = (error) => (error === true ? "" : (error.message ?? String(error)));

/** A value for each JSON Pointer in the document that is a `$ref`, and undefined for one without a target. */
function references(document) {
  const found = new Map();
  const visit = (value) => {
    if (typeof value !== "object" || value === null) return;
    if (typeof value.$ref === "string") {
      const path = value.$ref.replace(/^#\//, "").split("/");
      const target = path.reduce((at, key) => at?.[decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")], document);
      found.set(value.$ref, target);
    }
    Object.values(value).forEach(visit);
  };
  visit(document.methods);
  visit(document.components);
  return found;
}

/** What the rules of the specification say that its meta-schema does not check. */
function unchecked(name, document) {
  const names = document.methods.map((method) => method.name);
  checks.equal(`${name}: the names of methods are unique`, names.length, new Set(names).size);
  const dangling = [...references(document)].filter(([, target]) => target === undefined);
  checks.equal(`${name}: each $ref has a target`, dangling, []);
  const late = document.methods.filter(({ params }) => {
    const optional = params.findIndex((param) => !param.required);
    return optional >= 0 && params.slice(optional).some((param) => param.required);
  });
  checks.equal(`${name}: optional params follow the required ones`, late, []);
}

/** Each schema is one of JSON Schema draft 7, and the values of the examples have it. */
function schemas(name, document) {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: "document:", components: document.components ?? {} });
  const absolute = (schema) =>
    JSON.parse(JSON.stringify(schema), (key, value) => (key === "$ref" ? value.replace(/^#/, "document:#") : value));
  const failures = [];
  let values = 0;
  const validator = (where, schema) => {
    try {
      return ajv.compile(absolute(schema));
    } catch (error) {
      failures.push(`${where}: ${error.message}`);
      return () => true;
    }
  };
  const check = (where, schema, value) => {
    values += 1;
    const valid = validator(where, schema);
    if (!valid(value)) failures.push(`${where}: ${JSON.stringify(value)}: ${ajv.errorsText(valid.errors)}`);
  };
  for (const [key, schema] of Object.entries(document.components?.schemas ?? {})) validator(key, schema);
  for (const method of document.methods) {
    const at = method.name;
    for (const param of method.params) validator(`${at} ${param.name}`, param.schema);
    if (method.result) validator(`${at} result`, method.result.schema);
    for (const member of ["x-params", "x-progress"]) {
      if (member in method) validator(`${at} ${member}`, method[member]);
    }
    if (method["x-subscription"]) validator(`${at} item`, method["x-subscription"].item);
    for (const [code, schema] of Object.entries(method["x-error-data"] ?? {})) {
      validator(`${at} ${code}`, schema);
      checks.that(`${name}: ${at} declares the error ${code}`, method.errors.some((error) => String(error.code) === code));
    }
    for (const [index, param] of method.params.entries()) {
      if ("default" in Object(param.schema)) check(`${at} default ${index}`, param.schema, param.schema.default);
    }
    for (const example of method.examples ?? []) {
      const { result, params, "x-error": error, "x-params": whole } = example;
      for (const { name, value } of params) {
        check(`${at} example ${name}`, method.params.find((param) => param.name === name).schema, value);
      }
      if (whole !== undefined) check(`${at} example params`, method["x-params"], whole);
      if (result) check(`${at} example result`, method.result.schema, result.value);
      const data = method["x-error-data"]?.[error?.code];
      if (data) check(`${at} example error`, data, error.data);
    }
  }
  checks.equal(`${name}: each schema compiles, and ${values} values have theirs`, failures, []);
}

/** A declared extension with a wrong value is an error, so the declarations are in use. */
function extensions(name, document) {
  for (const { name: extension, restricted, schema } of document["x-extensions"] ?? []) {
    if (Object.keys(schema).length === 0) continue; // any value is valid
    for (const place of restricted) {
      const wrong = structuredClone(document);
      const examples = wrong.methods.flatMap((method) => method.examples ?? []);
      const holders = { methodObject: wrong.methods, examplePairingObject: examples }[place];
      const holder = holders.find((object) => extension in object);
      if (!holder) continue;
      holder[extension] = 17;
      checks.that(`${name}: ${extension} with a wrong value is invalid`, validateOpenRPCDocument(wrong) !== true, "valid");
    }
  }
}

async function validate(name, version, document) {
  checks.that(`${name}: the version`, document.openrpc.startsWith(version), document.openrpc);
  for (const [which, valid] of Object.entries(metaSchemas[version])) {
    checks.that(`${name}: valid by ${which}`, valid(document), JSON.stringify(valid.errors));
  }
  checks.equal(`${name}: valid by validateOpenRPCDocument, extensions included`, problem(validateOpenRPCDocument(document)), "");
  const parsed = await parseOpenRPCDocument(structuredClone(document), { dereference: false });
  checks.equal(`${name}: parsed`, parsed.methods.length, document.methods.length);
  extensions(name, document);
  unchecked(name, document);
  schemas(name, document);
}

/** Documents with one fault each are invalid: the validators above work. */
function faults(document) {
  const invalid = (name, edit) => {
    const wrong = structuredClone(document);
    edit(wrong);
    checks.that(`a document with ${name} is invalid`, validateOpenRPCDocument(wrong) !== true, "valid");
    const byMetaSchema = Object.values(metaSchemas[1.3]).map((valid) => valid(wrong));
    checks.equal(`a document with ${name} is invalid by the meta-schemas`, byMetaSchema, [false, false]);
  };
  invalid("an unknown member", (wrong) => (wrong.methods[0].unknown = 1));
  invalid("a method without params", (wrong) => delete wrong.methods[0].params);
  invalid("a schema of an unknown type", (wrong) => (wrong.components.schemas.Book.type = "struct"));
  invalid("an unknown version", (wrong) => (wrong.openrpc = "1.3.99"));
}

// --- Generated clients. ---

async function generate(document, language, directory) {
  const generator = join(nodeDirectory, "node_modules/@open-rpc/generator/build/cli.js");
  const args = [generator, "generate", "-d", document, "-t", "client", "-l", language, "-n", "library-client", "-o", directory];
  await succeeds(`generator: a client in ${language}`, process.execPath, args);
  return join(directory, "client", language);
}

/** The generated client compiles together with a program that uses it, and calls our server. */
async function typescript(document, directory) {
  const client = await generate(document, "typescript", directory);
  cpSync(new URL("openrpc-client.ts", import.meta.url), join(client, "src/main.ts"));
  // The template pins TypeScript 4.2.4, which cannot read the types of today's packages.
  const compiler = join(nodeDirectory, "node_modules/typescript/bin/tsc");
  if ((await succeeds("generator: the client in TypeScript compiles", process.execPath, [compiler, "-p", client])) === undefined) return;

  const server = spawn(libraryServer, ["127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  const exit = new Promise((resolve) => server.once("exit", (code, signal) => resolve(code ?? signal)));
  try {
    const line = await new Promise((resolve, reject) => {
      server.stdout.once("data", (data) => resolve(String(data).split("\n")[0]));
      exit.then((code) => reject(new Error(`library-server ended with ${code}`)));
    });
    const url = line.replace("The server listens on ", "");
    const printed = await succeeds("generator: the client in TypeScript calls our server", process.execPath, [
      join(client, "build/main.js"),
      url,
    ], { timeout: 60_000 });
    for (const [name, got, expected] of JSON.parse(printed ?? "[]")) {
      checks.equal(`TypeScript client: ${name}`, got, expected);
    }
  } finally {
    server.kill("SIGINT");
    checks.equal("library-server ends cleanly on SIGINT", await exit, 0);
  }
}

/**
 * The generated client in Rust compiles after some repairs of what the template writes for every document.
 * README.md says which and why.
 */
async function rust(document, directory) {
  const client = await generate(document, "rust", directory);
  checks.equal("generator: src/lib.rs of the client in Rust is empty", readFileSync(join(client, "src/lib.rs"), "utf8").trim(), "");
  const source = readFileSync(join(client, "src/index.rs"), "utf8")
    .replaceAll(", Builder, Default)]", ")]")
    .replaceAll(/^#\[(builder\(.*\)|serde\(default\))\]\n/gm, "")
    .replaceAll(/^(extern crate derive_builder|use derive_builder::Builder);\n/gm, "")
    .replaceAll("RpcRequest<void>", "RpcRequest<()>");
  writeFileSync(join(client, "src/lib.rs"), source);
  const manifest = readFileSync(join(client, "Cargo.toml"), "utf8").replace(/\[dev-dependencies[^]*/, "");
  writeFileSync(join(client, "Cargo.toml"), `${manifest}[workspace]\n`);
  cpSync(new URL("openrpc-client.Cargo.lock", import.meta.url), join(client, "Cargo.lock"));
  const args = ["check", "--quiet", "--locked", "--manifest-path", join(client, "Cargo.toml")];
  await succeeds("generator: the client in Rust compiles", "cargo", args);
}

const directory = join(nodeDirectory, "openrpc");
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
const library = join(directory, "library-1.3.json");
for (const version of ["1.3", "1.4"]) {
  for (const [name, program] of [["library", libraryServer], ["interop", interopServer]]) {
    await checks.group(`${name} ${version}`, async () => {
      const { stdout } = await run(program, ["openrpc", version]);
      writeFileSync(join(directory, `${name}-${version}.json`), stdout);
      await validate(`${name} ${version}`, version, JSON.parse(stdout));
    });
  }
}
for (const file of files) {
  await checks.group(basename(file), async () => {
    const document = JSON.parse(readFileSync(file, "utf8"));
    await validate(basename(file), document.openrpc.slice(0, 3), document);
  });
}
if (existsSync(library)) {
  await checks.group("documents with faults", async () => faults(JSON.parse(readFileSync(library, "utf8"))));
  await checks.group("the client in TypeScript", () => typescript(library, directory));
  await checks.group("the client in Rust", () => rust(library, directory));
}
process.exit(checks.failed ? 1 : 0);
