//! What is measured: each experiment with its cases, which are measured side by side.

use crate::audience::Way;
use crate::load::Shape;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Ours,
    Floor,
    Jsonrpsee,
    Tarpc,
    Tonic,
}

impl Contender {
    /// Those that speak JSON-RPC over WebSocket.
    pub const ALL: [Contender; 3] = [Contender::Ours, Contender::Floor, Contender::Jsonrpsee];
    /// Those with a typed client and a typed server.
    pub const TYPED: [Contender; 4] =
        [Contender::Ours, Contender::Tarpc, Contender::Jsonrpsee, Contender::Tonic];

    pub fn name(self) -> &'static str {
        match self {
            Contender::Ours => "ours",
            Contender::Floor => "floor",
            Contender::Jsonrpsee => "jsonrpsee",
            Contender::Tarpc => "tarpc",
            Contender::Tonic => "tonic",
        }
    }

    /// The program with the server. tarpc and tonic have none, as the load generator does not speak
    /// their protocols.
    pub fn server(self) -> Option<&'static str> {
        match self {
            Contender::Ours => Some("server_ours"),
            Contender::Floor => Some("server_floor"),
            Contender::Jsonrpsee => Some("server_jsonrpsee"),
            Contender::Tarpc | Contender::Tonic => None,
        }
    }

    /// The program with the typed client. The floor has none: that would be a socket.
    pub fn client(self) -> Option<&'static str> {
        match self {
            Contender::Ours => Some("client_ours"),
            Contender::Jsonrpsee => Some("client_jsonrpsee"),
            Contender::Floor | Contender::Tarpc | Contender::Tonic => None,
        }
    }

    /// The program with the server for broadcasts.
    pub fn broadcast(self) -> Option<&'static str> {
        match self {
            Contender::Ours => Some("broadcast_ours"),
            Contender::Floor => Some("broadcast_floor"),
            Contender::Jsonrpsee => Some("broadcast_jsonrpsee"),
            Contender::Tarpc | Contender::Tonic => None,
        }
    }

    /// The program with a typed client and a typed server.
    pub fn both(self) -> Option<&'static str> {
        match self {
            Contender::Ours => Some("both_ours"),
            Contender::Jsonrpsee => Some("both_jsonrpsee"),
            Contender::Tarpc => Some("both_tarpc"),
            Contender::Tonic => Some("both_tonic"),
            Contender::Floor => None,
        }
    }
}

/// What a case does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// So many raw clients call a server that has so many extra methods and idle connections.
    Server { shape: Shape, connections: usize, methods: usize, idle: usize, host: Host },
    /// So many tasks of a typed client call, and so many calls are pending all the while.
    Client { tasks: usize, pending: usize },
    /// So many tasks of a typed client call a typed server in the same process, over loopback TCP.
    Both { tasks: usize },
    /// A typed client subscribes to so many items, again and again.
    Consumer { items: usize },
    /// So many connections to a server are opened, and memory is measured, not time.
    Memory { idle: usize, used: bool, host: Host },
    /// A server sends each message to so many connections.
    Broadcast { way: Way, members: usize },
    /// The same; measures the CPU time of the call that publishes. `deaf`: there is one more
    /// connection, which never reads.
    Publishing { way: Way, members: usize, deaf: bool },
    /// So many connections do not read messages of so many bytes; measures memory.
    Waiting { way: Way, members: usize, bytes: usize },
}

/// Whose server it is, and how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The contender's own, by WebSocket.
    Own,
    /// A web application's, by WebSocket.
    Application,
    /// By HTTP POST.
    Post,
}

/// One thing that is measured. The variant is empty, or tells cases of one contender apart.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub contender: Contender,
    pub variant: &'static str,
    /// On tokio's multi-threaded runtime, even if the other cases run on the single-threaded one.
    pub multi_thread: bool,
    pub work: Work,
}

/// What an experiment is about, and so where its results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Contenders under the same load.
    Load,
    /// The same on tokio's multi-threaded runtime.
    Threads,
    /// A typed client and a typed server together, beside those of other protocols.
    Both,
    /// Memory of a connection.
    Memory,
    /// Each contender with little and with much of something.
    Growth,
    /// One message to many connections.
    Broadcast,
    /// The memory of a message that waits for many connections.
    Waiting,
}

/// Cases that are measured side by side.
#[derive(Clone, Debug)]
pub struct Experiment {
    pub name: &'static str,
    pub title: &'static str,
    pub kind: Kind,
    pub cases: Vec<Case>,
}

/// The variants of a growth experiment.
pub const FEW: &str = "few";
pub const MANY: &str = "many";

/// The variants of this project's broadcasts.
pub const NOTIFY: &str = "loop of `notify`";
pub const GROUP: &str = "group";
pub const CHANNEL: &str = "channel";
pub const SUBSCRIPTION: &str = "subscription for each client";

/// Calls of `math.sum` that are in flight when nothing else is said.
const IN_FLIGHT: usize = 100;

/// How many items a subscription brings before the next one begins.
const ITEMS: usize = 10_000;

/// All experiments; `connections` is how many idle ones there may be.
pub fn all(connections: usize) -> Vec<Experiment> {
    let mut all = servers();
    all.extend(posts());
    all.extend(clients());
    all.extend(both());
    all.extend(threads(&all));
    all.extend(memory(connections));
    all.extend(growth(connections));
    all.extend(broadcasts(connections));
    all
}

fn servers() -> Vec<Experiment> {
    let experiment = |name, title, contenders: &[Contender], shape, connections| {
        let work = Work::Server { shape, connections, methods: 0, idle: 0, host: Host::Own };
        let case = |&contender| Case { contender, variant: "", multi_thread: false, work };
        let cases = contenders.iter().map(case).collect();
        Experiment { name, title, kind: Kind::Load, cases }
    };
    let all = &Contender::ALL[..];
    let no_floor = &[Contender::Ours, Contender::Jsonrpsee][..];
    let only_ours = &[Contender::Ours][..];
    vec![
        experiment("sequential", "sequential calls", all, Shape::Sum(1), 1),
        experiment("flight-100", "100 in flight", all, Shape::Sum(100), 1),
        experiment("flight-1000", "1000 in flight", all, Shape::Sum(1000), 1),
        experiment("connections", "50 connections, 20 in flight each", all, Shape::Sum(20), 50),
        experiment("batch", "batch of 100, an entry", no_floor, Shape::Batch(100), 1),
        experiment(
            "echo-1k",
            "echo of 1 KiB, 100 in flight",
            all,
            Shape::Echo { calls: 100, bytes: 1024 },
            1,
        ),
        experiment(
            "echo-64k",
            "echo of 64 KiB, one at a time",
            all,
            Shape::Echo { calls: 1, bytes: 65536 },
            1,
        ),
        experiment("wait", "handlers wait 1 ms, 100 in flight", no_floor, Shape::Wait(100), 1),
        experiment("notifications", "notifications", all, Shape::Notes(100), 1),
        experiment(
            "server-to-client",
            "server calls client, 100 in flight",
            only_ours,
            Shape::Reverse(100),
            1,
        ),
        experiment("subscription", "a subscription, an item", no_floor, Shape::Items(ITEMS), 1),
    ]
}

/// Calls over HTTP POST.
fn posts() -> Vec<Experiment> {
    let experiment = |name, title, shape, connections| {
        let host = Host::Post;
        let work = Work::Server { shape, connections, methods: 0, idle: 0, host };
        let case = |contender| Case { contender, variant: "", multi_thread: false, work };
        let cases = [Contender::Ours, Contender::Jsonrpsee].map(case).to_vec();
        Experiment { name, title, kind: Kind::Load, cases }
    };
    vec![
        experiment("post", "HTTP POST, one at a time", Shape::Sum(1), 1),
        experiment("post-20", "HTTP POST, 20 connections", Shape::Sum(1), 20),
        experiment("post-batch", "HTTP POST, batch of 100, an entry", Shape::Batch(100), 1),
    ]
}

fn clients() -> Vec<Experiment> {
    let experiment = |name, title, work| {
        let case = |contender| Case { contender, variant: "", multi_thread: false, work };
        let cases = [Contender::Ours, Contender::Jsonrpsee].map(case).to_vec();
        Experiment { name, title, kind: Kind::Load, cases }
    };
    let tasks = |tasks| Work::Client { tasks, pending: 0 };
    vec![
        experiment("client-1", "client, 1 task", tasks(1)),
        experiment("client-100", "client, 100 tasks", tasks(100)),
        experiment("client-1000", "client, 1000 tasks", tasks(1000)),
        experiment(
            "client-subscription",
            "client, a subscription, an item",
            Work::Consumer { items: ITEMS },
        ),
    ]
}

fn both() -> Vec<Experiment> {
    let experiment = |name, title, tasks| {
        let work = Work::Both { tasks };
        let case = |contender| Case { contender, variant: "", multi_thread: false, work };
        let cases = Contender::TYPED.map(case).to_vec();
        Experiment { name, title, kind: Kind::Both, cases }
    };
    vec![
        experiment("both-1", "client and server, 1 task", 1),
        experiment("both-100", "client and server, 100 tasks on a connection", 100),
    ]
}

/// Some of the loads again, on tokio's multi-threaded runtime.
fn threads(loads: &[Experiment]) -> Vec<Experiment> {
    let pairs = [
        ("flight-100", "threads-flight-100"),
        ("connections", "threads-connections"),
        ("wait", "threads-wait"),
        ("client-100", "threads-client-100"),
    ];
    let again = |experiment: &Experiment| {
        let (_, name) = pairs.iter().find(|(load, _)| *load == experiment.name)?;
        let multi = |&case: &Case| Case { multi_thread: true, ..case };
        let cases = experiment.cases.iter().map(multi).collect();
        Some(Experiment { name, title: experiment.title, kind: Kind::Threads, cases })
    };
    loads.iter().filter_map(again).collect()
}

fn memory(idle: usize) -> Vec<Experiment> {
    let experiment = |name, title, used| {
        let case = |contender| Case {
            contender,
            variant: "",
            multi_thread: false,
            work: Work::Memory { idle, used, host: Host::Own },
        };
        let cases = Contender::ALL.map(case).to_vec();
        Experiment { name, title, kind: Kind::Memory, cases }
    };
    let work = Work::Memory { idle, used: false, host: Host::Application };
    let case = Case { contender: Contender::Ours, variant: "", multi_thread: false, work };
    vec![
        experiment("idle", "idle connection, never used", false),
        experiment("idle-used", "idle connection, after a call", true),
        Experiment {
            name: "idle-mounted",
            title: "idle connection, never used, mounted in axum",
            kind: Kind::Memory,
            cases: vec![case],
        },
    ]
}

fn growth(connections: usize) -> Vec<Experiment> {
    let experiment = |name, title, contenders: &[Contender], few, many| {
        let case = |&contender| {
            [(FEW, few), (MANY, many)].map(|(variant, work)| Case {
                contender,
                variant,
                multi_thread: false,
                work,
            })
        };
        let cases = contenders.iter().flat_map(case).collect();
        Experiment { name, title, kind: Kind::Growth, cases }
    };
    let hosted =
        |shape, methods, idle, host| Work::Server { shape, connections: 1, methods, idle, host };
    let server = |shape, methods, idle| hosted(shape, methods, idle, Host::Own);
    let methods = |methods| server(Shape::Spread { calls: IN_FLIGHT, methods }, methods, 0);
    let pending = |pending| Work::Client { tasks: IN_FLIGHT, pending };
    let idle = |idle| server(Shape::Sum(IN_FLIGHT), 0, idle);
    let batch = |shape| server(shape, 0, 0);
    let no_floor = &[Contender::Ours, Contender::Jsonrpsee][..];
    let mut all = vec![
        experiment(
            "growth-methods",
            "10 → 10,000 registered methods",
            no_floor,
            methods(10),
            methods(10_000),
        ),
        experiment(
            "growth-pending",
            "1 → 100,000 pending calls of a client",
            no_floor,
            pending(1),
            pending(100_000),
        ),
        experiment(
            "batching",
            "100 single calls → a batch of 100",
            no_floor,
            batch(Shape::Sum(100)),
            batch(Shape::Batch(100)),
        ),
    ];
    let only_ours = &[Contender::Ours][..];
    let mounted = |name, title, calls, second| {
        let [few, many] = [Host::Own, second].map(|host| hosted(Shape::Sum(calls), 0, 0, host));
        experiment(name, title, only_ours, few, many)
    };
    let axum = Host::Application;
    all.extend([
        mounted("mounted", "stand-alone → mounted in axum, 100 in flight", IN_FLIGHT, axum),
        mounted("mounted-1", "stand-alone → mounted in axum, sequential calls", 1, axum),
        // Any difference is a measurement error.
        mounted("twins", "stand-alone → the very same, 100 in flight", IN_FLIGHT, Host::Own),
    ]);
    // One by one: together they would need more files than a process usually may open.
    let names = ["growth-idle", "growth-idle-floor", "growth-idle-jsonrpsee"];
    for (name, contender) in names.into_iter().zip(Contender::ALL) {
        let title = "10 → 10,000 idle connections";
        all.push(experiment(name, title, &[contender], idle(10), idle(connections)));
    }
    all
}

fn broadcasts(connections: usize) -> Vec<Experiment> {
    const MEMBERS: usize = 1000;
    let case = |contender, variant, work| Case { contender, variant, multi_thread: false, work };
    let contenders = [
        (Contender::Ours, NOTIFY, Way::NOTIFY),
        (Contender::Ours, GROUP, Way::GROUP),
        (Contender::Ours, CHANNEL, Way::CHANNEL),
        (Contender::Ours, SUBSCRIPTION, Way::ITEMS),
        (Contender::Floor, "", Way::JOIN),
        (Contender::Jsonrpsee, "", Way::ITEMS),
    ];
    let broadcast = |(contender, variant, way)| {
        case(contender, variant, Work::Broadcast { way, members: MEMBERS })
    };
    let waiting = |(contender, variant, way)| {
        case(contender, variant, Work::Waiting { way, members: MEMBERS, bytes: 65536 })
    };
    // As many sockets as idle connections may be open, and a few more.
    let members = connections.saturating_sub(2);
    let publishing = |name, title, way| {
        let cases = [(FEW, false), (MANY, true)].map(|(variant, deaf)| {
            case(Contender::Ours, variant, Work::Publishing { way, members, deaf })
        });
        Experiment { name, title, kind: Kind::Growth, cases: cases.to_vec() }
    };
    vec![
        Experiment {
            name: "broadcast",
            title: "a message to 1000 connections, for each of them",
            kind: Kind::Broadcast,
            cases: contenders.map(broadcast).to_vec(),
        },
        publishing(
            "broadcast-group",
            "`broadcast` to a group of 10,000: all read → one more never reads",
            Way::GROUP,
        ),
        publishing(
            "broadcast-channel",
            "`publish` to a channel of 10,000: all read → one more never reads",
            Way::CHANNEL,
        ),
        Experiment {
            name: "broadcast-memory",
            title: "a message of 64 KiB that waits at 1000 connections, for each of them",
            kind: Kind::Waiting,
            cases: contenders.map(waiting).to_vec(),
        },
    ]
}
