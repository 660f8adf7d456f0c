//! What the lines of `allow` mean for an exchange: those that open nothing, and those that open more than anybody knows.
//! Never decides about a request.

use http::Method;

use crate::decide::outbound::{AllowLine, Names};
use crate::model::decode::{Fields, nearest};
use crate::model::exchange::{CUSTOM, Catalogue, Effect, Extent, Preset, Reserve};

/// Judges each line by what the preset knows.
pub(super) fn judge(fields: &mut Fields<'_>, preset: &Preset, allow: &[AllowLine]) {
    for line in allow {
        if is_open_change(preset, line) {
            tell_open_change(fields, preset, line);
        } else if moves_money(preset, line) {
            warn_of_money(fields, line);
        } else if !has_interface(preset, line) {
            warn_of_no_socket(fields, preset, line);
        } else if !meets(preset, line) {
            warn_of_nothing(fields, preset, line);
        }
    }
}

/// Whether a line opens whatever matches it, where changing calls are among that and nobody has listed them: of such an
/// exchange only beginnings of paths are known, or nothing at all, and a withdrawal is a path like any other.
fn is_open_change(preset: &Preset, line: &AllowLine) -> bool {
    let changes = match line.names() {
        Names::Rest(method) => method
            .as_ref()
            .is_none_or(|method| Effect::of(method).changes()),
        Names::Ws | Names::Stream => false,
    };
    changes && !line.is_exact() && matches!(preset.catalogue, Catalogue::Sketch { .. })
}

fn tell_open_change(fields: &mut Fields<'_>, preset: &Preset, line: &AllowLine) {
    let text = &line.text;
    if preset.family == CUSTOM.family {
        let message = format!(
            "`{text}` opens calls that change something by a wildcard, and of `{}` nothing is known: withdrawals are among them",
            preset.name
        );
        let help = "name each call by its method and path, such as `POST /private/order`";
        fields.error(&line.place, message, help);
    } else {
        let message = format!(
            "`{text}` opens every call that matches it, and `{}` knows only the paths on which money moves",
            preset.name
        );
        let help = "those stay refused; name each other call by its method and path";
        fields.warning(&line.place, message, help);
    }
}

/// Whether a line opens what the preset keeps back because it moves money: only one without wildcards does.
fn moves_money(preset: &Preset, line: &AllowLine) -> bool {
    let Names::Rest(Some(method)) = line.names() else {
        return false;
    };
    let known = preset.known(method, line.pattern(), Extent::ALL);
    line.is_exact() && known.reserve == Some(Reserve::MovesMoney)
}

fn warn_of_money(fields: &mut Fields<'_>, line: &AllowLine) {
    let message = format!(
        "`{}` opens what is kept back: it moves money out or elsewhere",
        line.text
    );
    let help = "whoever reaches this listener may call it; leave the line out unless that is meant";
    fields.warning(&line.place, message, help);
}

/// Whether the preset has the interface that the line is for.
const fn has_interface(preset: &Preset, line: &AllowLine) -> bool {
    match line.names() {
        Names::Rest(_) => true,
        Names::Ws => preset.ws_api.is_some(),
        Names::Stream => preset.streams.is_some(),
    }
}

fn warn_of_no_socket(fields: &mut Fields<'_>, preset: &Preset, line: &AllowLine) {
    let message = format!(
        "`{}` opens nothing: `{}` has no such WebSocket",
        line.text, preset.name
    );
    fields.warning(&line.place, message, "leave the line out");
}

/// Whether there is anything known that the line opens.
fn meets(preset: &Preset, line: &AllowLine) -> bool {
    match (line.names(), preset.catalogue) {
        (Names::Rest(_), Catalogue::Complete(calls)) => calls.iter().any(|call| {
            let method = Method::from_bytes(call.method.as_bytes());
            method.is_ok_and(|method| line.allows_call(&method, call.path))
        }),
        (Names::Rest(_), Catalogue::Sketch { .. }) | (Names::Stream, _) => true,
        (Names::Ws, _) => {
            let mut methods = preset.ws_methods.iter();
            methods.any(|method| line.allows_frame(method.name))
        }
    }
}

/// A line that no call of the preset meets was probably meant otherwise.
fn warn_of_nothing(fields: &mut Fields<'_>, preset: &Preset, line: &AllowLine) {
    let (text, name) = (&line.text, preset.name);
    let (message, help) = match (line.is_exact(), alike(preset, line)) {
        (true, Some(meant)) => (
            format!("`{text}` opens a call that `{name}` does not know"),
            format!("{meant} As it stands, it is signed and sent as it comes"),
        ),
        (true, None) => (
            format!("`{text}` opens a call that `{name}` does not know"),
            "it is signed and sent as it comes; make sure that this is meant".to_owned(),
        ),
        (false, _) => (
            format!("`{text}` opens no call of `{name}`"),
            "what moves money, and what the preset does not know, is opened only by its exact method and path".to_owned(),
        ),
    };
    fields.warning(&line.place, message, help);
}

/// The call that an exact line was probably meant for.
fn alike(preset: &Preset, line: &AllowLine) -> Option<String> {
    let known: Vec<String> = match (line.is_exact(), line.names(), preset.catalogue) {
        (true, Names::Rest(_), Catalogue::Complete(calls)) => {
            let named = calls.iter();
            named
                .map(|call| format!("{} {}", call.method, call.path))
                .collect()
        }
        (true, Names::Ws, _) => {
            let methods = preset.ws_methods.iter();
            methods
                .map(|method| format!("WS {}", method.name))
                .collect()
        }
        _ => return None,
    };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    nearest(&line.text, &known)
}
