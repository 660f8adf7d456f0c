//! Every WebSocket ends at once, as after 24 hours, and every client comes back at once.

use std::thread;

use serde_json::json;

use super::client::{ALL, Client, all_closed, events};
use crate::support::exchange::StandIn;
use crate::support::wait::wait_until;

#[test]
fn whoever_is_disconnected_comes_back_and_nothing_is_left_over() {
    const CLIENTS: u64 = 12;
    const ROUNDS: u64 = 3;
    let market = StandIn::start();
    let sidecar = market.sidecar(ALL, "");
    let open = || sidecar.metric("outrider_exchange_sockets", &[]) as u64;
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::api(&sidecar)).collect();
    for round in 0..ROUNDS {
        wait_until("open", || {
            open() == CLIENTS && market.exchange.open_sockets() == CLIENTS
        });
        market.exchange.close_all();
        let back = |mut client: Client| {
            assert!([1000, 1011].contains(&client.closed().0));
            let mut client = Client::api(&sidecar);
            let ping = json!({"id": round, "method": "ping"});
            assert_eq!(client.ask(&ping)["status"], 200);
            client
        };
        clients = thread::scope(|scope| {
            let all: Vec<_> = clients
                .drain(..)
                .map(|client| scope.spawn(|| back(client)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
    }
    for client in clients {
        client.close();
    }
    let count = usize::try_from(CLIENTS * (ROUNDS + 1)).unwrap();
    assert_eq!(events(&sidecar, "ws.open", count).len(), count);
    assert_eq!(events(&sidecar, "ws.close", count).len(), count);
    all_closed(&sidecar);
    wait_until("gone", || market.exchange.open_sockets() == 0);
    market.assert_clean();
}
