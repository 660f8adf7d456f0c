//! Five messages a second and no more. The conversation itself is tested on the running program.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_second_holds_five_messages() {
    let mut state = State {
        streams: BTreeSet::new(),
        said: VecDeque::new(),
        pending: Pending::default(),
        is_nameless: false,
    };
    for _ in 0..MESSAGES_MAX {
        assert!(state.say().is_ok());
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    let refused = state.say().unwrap_err();
    assert_eq!(refused.cause, Cause::ExchangeLimit);
    let wait = Advice::RetryAfter(Duration::from_millis(500));
    assert_eq!(refused.advice, wait);
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(state.say().is_ok());
    assert!(state.say().is_err());
}

#[test]
fn a_frame_with_anything_else_in_it_is_none() {
    let read = |text: &str| object::<Said<'_>>(text).is_some();
    assert!(read(r#"{"method":"SUBSCRIBE","params":["a@b"],"id":1}"#));
    assert!(read(r#"{"method":"LIST_SUBSCRIPTIONS"}"#));
    for text in [
        r#"{"method":"SUBSCRIBE","params":["a@b"],"apiKey":"x"}"#,
        r#"{"method":"SUBSCRIBE","params":{"apiKey":"x"}}"#,
        r#"{"method":"SUBSCRIBE","method":"SUBSCRIBE"}"#,
        "[]",
        r#"["SUBSCRIBE",["a@b"],1]"#,
    ] {
        assert!(!read(text), "{text}");
    }
}
