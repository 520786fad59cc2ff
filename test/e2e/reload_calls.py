"""Calls over gRPC until SIGTERM, and says what became of them: the part of reload-clients.test.ts that is grpcio's.

    reload_calls.py ADDRESS CHANNELS LANES [CA_FILE]
"""

import collections
import json
import signal
import sys
import threading

import grpc

ADDRESS, CHANNELS, LANES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CA_FILE = sys.argv[4] if len(sys.argv) > 4 else None
EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

ended = threading.Event()
answers = collections.Counter()
lock = threading.Lock()


def open_channel():
    # A pool of its own: otherwise all channels of a process share one connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    if CA_FILE is None:
        return grpc.insecure_channel(ADDRESS, options=options)
    with open(CA_FILE, "rb") as file:
        return grpc.secure_channel(ADDRESS, grpc.ssl_channel_credentials(file.read()), options=options)


def call_all_the_time(export):
    while not ended.is_set():
        try:
            export(b"", timeout=10)
            answer = "ok"
        except grpc.RpcError as error:
            answer = f"{error.code()}: {error.details()}"
        with lock:
            answers[answer] += 1
        ended.wait(0.003)


signal.signal(signal.SIGTERM, lambda *_: ended.set())
exports = [open_channel().unary_unary(EXPORT) for _ in range(CHANNELS)]
lanes = [threading.Thread(target=call_all_the_time, args=(export,)) for export in exports for _ in range(LANES)]
for lane in lanes:
    lane.start()
print("calling", flush=True)
ended.wait()
for lane in lanes:
    lane.join()
print(json.dumps(answers))
