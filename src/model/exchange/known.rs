//! What a preset knows of one request: what it needs, does and costs, and whether it is kept back. Decides nothing.

use http::Method;

use super::{Call, Catalogue, Effect, Extent, Preset, Security};

/// What is known of one request to an exchange, before anybody says whether it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it needs.
    pub security: Security,
    /// What it does.
    pub effect: Effect,
    /// What it weighs.
    pub weight: u32,
    /// How many orders it places.
    pub orders: u32,
    /// Whether the weight is given back when it succeeds.
    pub is_free_on_success: bool,
    /// Why it goes only where its exact name was opened.
    pub reserve: Option<Reserve>,
}

/// Why a request goes only by its exact name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// It moves money out or elsewhere.
    MovesMoney,
    /// The preset does not know what it does.
    Unknown,
}

/// What an unknown call or method is taken to weigh: more than most do.
const UNKNOWN_WEIGHT: u32 = 20;

impl Preset {
    /// What is known of a request that asks for so much.
    #[must_use]
    pub fn known(&self, method: &Method, path: &str, extent: Extent) -> Known {
        // Some servers find a path in either case of letters.
        let begins = |begin: &&str| {
            let head = path.as_bytes().get(..begin.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(begin.as_bytes()))
        };
        let moves_money = self.refused.iter().any(begins);
        let mut known = match self.catalogue {
            Catalogue::Complete(endpoints) => listed(endpoints, method, path, extent),
            Catalogue::Sketch { public, cancels } => sketched(public, cancels, method, path),
        };
        if moves_money {
            known.reserve = Some(Reserve::MovesMoney);
        }
        self.priced(known)
    }

    /// What is known of a method of the WebSocket API that is asked for so much.
    #[must_use]
    pub fn known_frame(&self, method: &str, extent: Extent) -> Known {
        let found = self.ws_methods.iter().find(|known| known.name == method);
        let known = found.map_or(Known::nothing(Effect::Change), |found| Known {
            security: found.security,
            effect: found.effect,
            weight: found.weight.of(extent),
            orders: found.orders,
            is_free_on_success: false,
            reserve: None,
        });
        self.priced(known)
    }

    /// The same with what success is worth here.
    const fn priced(&self, known: Known) -> Known {
        let is_order = known.orders > 0 || matches!(known.effect, Effect::Cancel);
        Known {
            is_free_on_success: self.orders_are_free && is_order,
            ..known
        }
    }
}

impl Known {
    /// What is taken for granted of a request that no table has: it is signed, weighs more than most, and goes only by
    /// its exact name.
    const fn nothing(effect: Effect) -> Self {
        Self {
            security: Security::Signed,
            effect,
            weight: UNKNOWN_WEIGHT,
            orders: 0,
            is_free_on_success: false,
            reserve: Some(Reserve::Unknown),
        }
    }
}

fn listed(endpoints: &[Call], method: &Method, path: &str, extent: Extent) -> Known {
    // A HEAD asks what a GET would, and costs what it costs.
    let name = match method.as_str() {
        "HEAD" => "GET",
        name => name,
    };
    let found = endpoints
        .iter()
        .find(|endpoint| endpoint.path == path && endpoint.method == name);
    match found {
        Some(endpoint) => Known {
            security: endpoint.security,
            effect: endpoint.effect,
            weight: endpoint.weight.of(extent),
            orders: endpoint.orders,
            is_free_on_success: false,
            reserve: None,
        },
        None => Known::nothing(Effect::of(method)),
    }
}

fn sketched(public: &[&str], cancels: &[&str], method: &Method, path: &str) -> Known {
    let begins = |with: &&str| path.starts_with(with);
    let open = Effect::of(method) == Effect::Read && public.iter().any(begins);
    let effect = match cancels.iter().any(begins) {
        true => Effect::Cancel,
        false => Effect::of(method),
    };
    Known {
        security: match open {
            true => Security::None,
            false => Security::Signed,
        },
        effect,
        weight: 1,
        orders: u32::from(effect == Effect::Change),
        is_free_on_success: false,
        reserve: None,
    }
}
