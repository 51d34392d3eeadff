//! The memory of groups and of messages that wait for their members.

use std::time::Duration;

use wsjsonrpc::group::{Groups, SlowMember};
use wsjsonrpc::{Context, Group, Server};
use wsjsonrpc_tests::request;

use crate::served::{Hostile, KIB, MIB, SCRATCH, Tested, check, settled};

/// A server whose clients join a group, and a room of their own.
fn server(group: &Group, rooms: &Groups<String>) -> wsjsonrpc::server::ServerBuilder {
    let (group, rooms) = (group.clone(), rooms.clone());
    Server::builder().method("join", move |ctx: Context, (room,): (String,)| {
        let joined = group.insert(&ctx.peer()) && rooms.insert(room, &ctx.peer());
        async move { Ok(joined) }
    })
}

fn join(hostile: &mut Hostile, room: usize) {
    hostile.send(&request("join", &format!("[\"{room}\"]"), "1"));
    hostile.read_until("\"result\":true");
}

/// Every member's send queue and backlog are full of messages that all members share.
#[test]
fn members_that_do_not_read_share_one_copy() {
    const MEMBERS: usize = 40;
    const MESSAGE: usize = 32 * KIB;
    for (wait, queues) in [(false, 1), (true, 2)] {
        let tested = Tested::new();
        let mut settings = Group::builder();
        if wait {
            settings = settings.slow_member(SlowMember::Wait(Duration::from_secs(1000)));
        }
        let (group, rooms) = (settings.build(), Groups::new());
        let address = tested.serve(server(&group, &rooms));
        let mut members: Vec<_> = (0..MEMBERS).map(|_| Hostile::connect(address)).collect();
        members.iter_mut().enumerate().for_each(|(room, member)| join(member, room));
        let before = settled();
        let text = "x".repeat(MESSAGE);
        tested.runtime.block_on(async {
            // The network takes some megabytes first.
            let message = || group.peer().call::<()>("event", [&text]).broadcast().unwrap();
            while message().dropped < MEMBERS {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        drop(text);
        // Not all queues hold the same messages, because the network takes more for some.
        let shared = 3 * queues * MIB;
        let references = queues * (MIB / MESSAGE) * 256 + 8 * KIB;
        check(
            &format!("broadcasts for {MEMBERS} members, waiting in the background: {wait}"),
            settled().saturating_sub(before),
            shared + MEMBERS * references + SCRATCH,
        );
        drop(members);
    }
}

#[test]
fn members_that_are_gone_leave_nothing() {
    const AT_ONCE: usize = 100;
    const ROUNDS: usize = 100;
    let tested = Tested::new();
    let (group, rooms) = (Group::new(), Groups::new());
    let address = tested.serve(server(&group, &rooms));
    let round = |number: usize| {
        let mut members: Vec<_> = (0..AT_ONCE).map(|_| Hostile::connect(address)).collect();
        for (index, member) in members.iter_mut().enumerate() {
            join(member, number * AT_ONCE + index);
        }
        assert_eq!(group.len(), AT_ONCE);
        assert_eq!(group.peer().call::<()>("event", [1]).broadcast().unwrap().sent, AT_ONCE);
        drop(members);
        while !group.is_empty() || !rooms.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // Allocates what the program needs once before memory is measured.
    (0..5).for_each(round);
    let before = settled();
    (5..ROUNDS).for_each(round);
    check("10,000 members joined and gone", settled().saturating_sub(before), 64 * KIB);
}
