//! The demo's lines to paste into a shell, and what to expect of each. Never runs any of them.

use std::io::{self, Write};

use super::files::{BOT, CONFIGURATION, EXCHANGE_CA, ISSUER_CA, KEYS, SIDECAR_CA};
use super::{EXCHANGE_ORDER, ORDER, Stage};

pub(super) fn invite(stage: &Stage, out: &mut dyn Write) -> io::Result<()> {
    let (proxy, health) = (stage.sidecar.inbound, stage.sidecar.health);
    let (outbound, exchange) = (stage.sidecar.outbound, stage.exchange.address());
    let issuer = stage.issuer_address;
    let folder = stage.folder.path().display();
    let program = std::env::current_exe()?;
    let program = program.display();
    let json = "-H 'content-type: application/json'";
    write!(
        out,
        "Paste these into another terminal:

  cd {folder}
  ask() {{ curl -s --cacert {SIDECAR_CA} \"$@\"; echo; }}          # trusts the sidecar's certificate
  TRADER=$(curl -s --cacert {ISSUER_CA} https://{issuer}/token/trader)
  VIEWER=$(curl -s --cacert {ISSUER_CA} https://{issuer}/token/viewer)

  # a trader places an order: 201, and the service is told who it was
  ask -i https://{proxy}/api/v1/orders -H \"authorization: Bearer $TRADER\" {json} -d '{ORDER}'

  # no token: 401
  ask -i https://{proxy}/api/v1/orders {json} -d '{ORDER}'

  # a viewer may look, but not place orders: 200, then 403
  ask -i https://{proxy}/api/v1/positions -H \"authorization: Bearer $VIEWER\"
  ask -i https://{proxy}/api/v1/orders -H \"authorization: Bearer $VIEWER\" {json} -d '{ORDER}'

  # everything can be cancelled only with a certificate of the desk, too: 403, then 200
  ask -i https://{proxy}/api/v1/orders -H \"authorization: Bearer $TRADER\" -X DELETE
  ask -i https://{proxy}/api/v1/orders -H \"authorization: Bearer $TRADER\" -X DELETE --cert {BOT}.crt --key {BOT}.key

  # five orders at once (the one above counts), one more every two seconds: 429 when they are spent
  for n in 1 2 3 4 5 6 7; do ask -o /dev/null -w '%{{http_code}}' https://{proxy}/api/v1/orders \\
    -H \"authorization: Bearer $TRADER\" {json} -d '{ORDER}'; done

  # why was the viewer refused?
  {program} explain -c {CONFIGURATION} --method POST --path /api/v1/orders --token viewer.jwt --keys {KEYS}

  # an order at the exchange, by plain HTTP, without a key and unsigned: 200. Then what is open, and cancel it
  ask -i http://{outbound}/api/v3/order -d '{EXCHANGE_ORDER}'
  ask 'http://{outbound}/api/v3/openOrders?symbol=BTCUSDT'
  ask -X DELETE 'http://{outbound}/api/v3/openOrders?symbol=BTCUSDT'

  # a withdrawal: 403, and nothing of it leaves
  ask -i http://{outbound}/sapi/v1/capital/withdraw/apply -d 'coin=BTC&address=x&amount=1'

  # which keys are in the exchange's chain, and which to pin
  {program} pin --ca-file {EXCHANGE_CA} {exchange}

  # a misspelt key: the sidecar says where, and goes on with what it has; then put it right
  sed -i s/mfa_within/mfa_witin/ {CONFIGURATION}; sleep 1; tail -n 1 sidecar.log
  sed -i s/mfa_witin/mfa_within/ {CONFIGURATION}; sleep 1; tail -n 1 sidecar.log

  # what it is ready for, and every decision on record
  curl -s 'http://{health}/readyz?verbose'
  {program} audit tail audit

Ctrl-C ends the demo.
"
    )
}
