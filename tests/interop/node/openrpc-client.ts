// A program that uses the client which @open-rpc/generator makes from the document of examples/schema.
// Prints a JSON list of [name, got, expected]. Argument: the URL of library-server.

import { Book, BookPage, Library, Loan } from "./index";

const url = new URL(process.argv[2]);

function connect() {
  const transport = { type: "websocket" as const, host: url.hostname, port: Number(url.port), path: url.pathname };
  const client = new Library({ transport });
  // The client validates params with a validator that throws on every format of integers.
  client["validator"]["ajvValidator"].addFormat("uint32", () => true);
  return client;
}

const results: [string, unknown, unknown][] = [];
const equal = (name: string, got: unknown, expected: unknown) => results.push([name, got, expected]);

/** The notifications of a client, in the order of their arrival. */
function notifications(client: Library) {
  const received: { method: string; params: any }[] = [];
  const waiting: (() => void)[] = [];
  client.onNotification((message) => {
    received.push(message);
    waiting.forEach((wake) => wake());
  });
  return async (method: string) => {
    for (;;) {
      const index = received.findIndex((message) => message.method === method);
      if (index >= 0) return received.splice(index, 1)[0].params;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
}

async function errorOf(call: Promise<unknown>) {
  try {
    return { result: await call };
  } catch (error: any) {
    return { code: error.code, message: error.message, data: error.data };
  }
}

async function main() {
  const ada = connect();
  const bob = connect();
  const isbn = "9781617294556";

  const page: BookPage = await ada.library_search("RUST IN", null, 0);
  const book: Book = { isbn, title: "Rust in Action", formats: ["paper"], year: 2021 };
  equal("a generic struct with a list of structs", page, { items: [book], total: 1 });
  const audio = await ada.library_search("rust", "audio");
  equal("an enum as a param, and no value for the default", audio.items.map(({ year }) => year), [2023]);
  const wrong = await ada.library_search("rust", "vinyl" as any).catch((errors) => errors.length);
  equal("the client checks params by their schema before it sends them", wrong, 1);

  const bobs = notifications(bob);
  const subscription = await bob.library_activity();
  equal("a subscription's id is a text", typeof subscription, "string");

  const loan: Loan = await ada.library_lend(isbn, 14);
  equal("a struct", loan, { isbn, days: 14 });
  const adas = notifications(ada);
  const lent = await errorOf(bob.library_lend(isbn, 7));
  equal("a declared error with data", lent, { code: 1002, message: "the book is lent for 14 days", data: { days: 14 } });
  equal("the method that the client implements, as a notification", await adas("reader_recall"), [loan]);
  equal("a declared error without data", await errorOf(bob.library_give_back(isbn)), {
    code: 1003,
    message: "the book is not lent to you",
  });

  equal("null as result", await ada.library_give_back(isbn), null);
  const items = [await bobs("library_activity"), await bobs("library_activity")];
  equal("the items of a subscription", items.map((params) => params.result.event), ["lent", "returned"]);

  ada.startBatch();
  const batch = [ada.library_search("in action"), ada.library_search("microservices")];
  ada.stopBatch();
  equal("a batch", (await Promise.all(batch)).map(({ items }) => items[0].year), [2021, 2019]);
  equal("a method that only the client has", (await errorOf(ada.reader_recall(loan)) as any).code, -32601);

  // @ts-expect-error: the generated types refuse a number where the schema has a string.
  void (() => ada.library_search(1));
  // @ts-expect-error: and a missing param that is required.
  void (() => ada.library_lend(isbn));
  // @ts-expect-error: and a member that the struct does not have.
  void ((book: Book) => book.isbn.pages);

  console.log(JSON.stringify(results));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
