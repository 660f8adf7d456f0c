//! Whether a byte of a request has left: what is said when there is no answer, and that it is true.

use super::*;

async fn send_once(slot: Slot<Pieces>, asked: Asked, wait: Duration) -> SendFault {
    let sending = slot.send_once(asked.outbound(), Instant::now() + wait);
    sending.await.expect_err("no answer comes")
}

/// Gives up before the connection's driver has a chance to run.
async fn give_up(slot: Slot<Pieces>) -> SendFault {
    let past = Instant::now().checked_sub(SHORT).unwrap();
    let sending = slot.send_once(asked(Method::POST).outbound(), past);
    sending.await.expect_err("no answer comes")
}

/// A slot on a new connection, and the service's end of it.
async fn fresh(way: &Way, service: &Service) -> (Slot<Pieces>, TcpStream) {
    let (slot, stream) = tokio::join!(slot(way), service.accept());
    (slot.unwrap(), stream)
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, mut stream) = fresh(&way, &service).await;
    assert!(!slot.is_reused());
    let script = async {
        read(&mut stream, 0).await;
        write(&mut stream, OK).await;
    };
    let sending = slot.send_once(asked(Method::POST).outbound(), Instant::now() + SOON);
    let (answer, ()) = tokio::join!(sending, script);
    assert_eq!(whole(answer.unwrap()).await.unwrap(), "ok");
    assert!(super::slot(&way).await.unwrap().is_reused());
}

#[tokio::test]
async fn a_connection_that_closed_before_says_so_and_no_other_is_tried() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, stream) = fresh(&way, &service).await;
    drop(stream);
    all_closed(&way).await;
    let fault = send_once(slot, asked(Method::POST), SOON).await;
    assert_eq!(fault.sent, Sent::Nothing);
    assert_eq!(fault.denial.cause, Cause::UpstreamUnreachable);
    service.nobody_comes().await;
}

#[tokio::test]
async fn a_request_that_is_given_up_before_it_left_never_leaves() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, mut stream) = fresh(&way, &service).await;
    let fault = give_up(slot).await;
    assert_eq!(fault.sent, Sent::Nothing);
    assert_eq!(fault.denial.cause, Cause::UpstreamTimeout);
    assert_eq!(read_to_close(&mut stream).await, "");
}

#[tokio::test]
async fn a_request_that_is_not_answered_may_have_been_done() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, mut stream) = fresh(&way, &service).await;
    let waiting = send_once(slot, asked(Method::POST), AMPLE);
    let (fault, raw) = tokio::join!(waiting, read(&mut stream, 0));
    assert!(raw.starts_with("POST "), "{raw}");
    assert_eq!(fault.sent, Sent::Something);
    assert_eq!(fault.denial.cause, Cause::UpstreamTimeout);
}

#[tokio::test]
async fn a_service_that_reads_and_breaks_off_may_have_done_it() {
    let service = Service::start().await;
    let way = service.way();
    for raw in ["", "HTTP/1.1 200", "nonsense\r\n\r\n"] {
        let (slot, mut stream) = fresh(&way, &service).await;
        let script = async {
            read(&mut stream, 0).await;
            write(&mut stream, raw).await;
            drop(stream);
        };
        let (fault, ()) = tokio::join!(send_once(slot, asked(Method::POST), SOON), script);
        assert_eq!(fault.sent, Sent::Something, "{raw}");
        assert_eq!(fault.denial.cause, Cause::UpstreamBroken, "{raw}");
    }
}

#[tokio::test]
async fn an_answer_with_two_readings_is_none_but_the_request_was_sent() {
    let service = Service::start().await;
    let way = service.way();
    let (slot, mut stream) = fresh(&way, &service).await;
    let script = async {
        read(&mut stream, 0).await;
        write(&mut stream, "HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
    };
    let (fault, ()) = tokio::join!(send_once(slot, asked(Method::POST), SOON), script);
    assert_eq!(fault.sent, Sent::Something);
    assert_eq!(fault.denial.cause, Cause::UpstreamBroken);
}

#[tokio::test]
async fn a_connection_that_was_used_begins_with_nothing_sent() {
    let service = Service::start().await;
    let way = service.way();
    let (answer, mut stream) = exchange(&way, &service, asked(Method::GET), OK).await;
    whole(answer.unwrap()).await.unwrap();
    let slot = slot(&way).await.unwrap();
    assert!(slot.is_reused());
    let fault = give_up(slot).await;
    assert_eq!(fault.sent, Sent::Nothing);
    assert_eq!(read_to_close(&mut stream).await, "");
}
