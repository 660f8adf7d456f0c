//! Section `admin`: the listener of operators. Never reachable from another machine.

use std::net::SocketAddr;

use crate::model::decode::{Fields, Placed};
use crate::model::node::Place;

use super::addresses::{Listen, collide};
use super::inbound;

/// The listener of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its address, on loopback.
    pub listen: SocketAddr,
}

/// Reads the section.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<Placed<Listen>> {
    let doc = "the address and port of the admin listener; loopback only";
    let listen: Option<Listen> = fields.required("listen", doc);
    let place = fields.place_of("listen");
    if let Some(Listen(address)) = listen
        && !address.ip().is_loopback()
    {
        let message = format!(
            "the admin listener gives orders to whoever reaches it; {address} can be reached from outside"
        );
        let help = format!(
            "write 127.0.0.1:{}, and reach it through a tunnel",
            address.port()
        );
        fields.error(&place, message, help);
    }
    listen.map(|value| Placed { value, place })
}

/// No two listeners on one address, and none that the service's address leads back to.
pub(super) fn compare(
    fields: &mut Fields<'_>,
    admin: &Placed<Listen>,
    inbound: Option<&inbound::Draft>,
    health: &Placed<Listen>,
) {
    let own = admin.value.0;
    let way_in = inbound.map(|inbound| ("inbound.listen", inbound.listen.value.0));
    let others = [way_in, Some(("health.listen", health.value.0))];
    for (key, other) in others.into_iter().flatten() {
        if collide(own, other) {
            let message = format!("`{key}` ({other}) and `admin.listen` ({own}) are one address");
            let place: &Place = &admin.place;
            fields.error(place, message, "give one of them another port");
        }
    }
    if let Some(inbound) = inbound {
        inbound::refuse_loop(fields, own, &inbound.forward_to, "admin.listen");
    }
}
