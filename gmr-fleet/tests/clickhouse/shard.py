"""A shard: the engine chdb behind ClickHouse's native protocol.

chdb has no server. It is the engine of ClickHouse all the same, and this is the little of the protocol that a
Distributed table needs to ask it: a query that is answered up to the stage that it asks for, which for a query
that aggregates are the states of its aggregate functions. A query by `s3Cluster` is answered for one file after
the other, each of which it asks the server for that has sent the query. It prepares its tables by the SQL that
it is given, prints its port, and serves until nobody holds its input any more.
"""

import json
import os
import re
import socket
import sys
import threading

import chdb

# The last revision of the protocol that has no more than this.
REVISION = 54448

CLIENT_HELLO, CLIENT_QUERY, CLIENT_DATA, CLIENT_CANCEL, CLIENT_PING, CLIENT_TABLES, CLIENT_SCALAR = 0, 1, 2, 3, 4, 5, 7
SERVER_HELLO, SERVER_DATA, SERVER_EXCEPTION, SERVER_PONG, SERVER_END, SERVER_TABLES = 0, 1, 2, 4, 5, 9
# What is done by several servers: a file for the next one that asks.
CLIENT_TASK, SERVER_TASK = 9, 13
STAGES = {1: "with_mergeable_state", 2: "complete"}
# How many bytes a value of a type has.
SCALARS = {"UInt32": 4, "UInt64": 8, "Nullable(UInt64)": 9}
# A block that is of no bucket.
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"


class Wire:
    def __init__(self, connection):
        self.stream = connection.makefile("rwb")

    def bytes(self, count):
        read = self.stream.read(count)
        if len(read) < count:
            raise EOFError
        return read

    def number(self):
        value = shift = 0
        while True:
            byte = self.bytes(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self):
        return self.bytes(self.number()).decode()

    def send(self, *parts):
        for part in parts:
            if isinstance(part, int):
                while part > 127:
                    self.stream.write(bytes([part & 127 | 128]))
                    part >>= 7
                self.stream.write(bytes([part]))
            elif isinstance(part, str):
                self.send(len(part.encode()))
                self.stream.write(part.encode())
            else:
                self.stream.write(part)


def query(wire):
    """Reads a query, and the stage up to which it is to be answered."""
    wire.text()  # its id
    wire.bytes(1)  # who asks: a client or a server
    for _ in range(3):
        wire.text()  # for whom
    wire.bytes(1)  # by which interface
    for _ in range(3):
        wire.text()  # from where
    for _ in range(3):
        wire.number()  # by which version
    wire.text()  # quota
    wire.number()  # how many servers it has passed
    wire.number()  # patch of the version
    if wire.bytes(1)[0]:  # a trace
        wire.bytes(24)
        wire.text()
        wire.bytes(1)
    while wire.text():  # settings
        wire.number()
        wire.text()
    wire.text()  # secret of the cluster
    stage, compressed, sql = wire.number(), wire.number(), wire.text()
    assert not compressed, "the cluster is configured without compression"
    return stage, sql


def rest_of_query(wire):
    """Reads what follows a query: scalars such as the number of the shard, and a block without columns."""
    while (packet := wire.number()) == CLIENT_SCALAR:
        wire.text()
        wire.bytes(len(BLOCK_INFO))
        assert (wire.number(), wire.number()) == (1, 1), "not a scalar"
        wire.text()
        wire.bytes(SCALARS[wire.text()])
    assert packet == CLIENT_DATA and wire.text() == "", "an external table"
    wire.bytes(len(BLOCK_INFO))
    assert (wire.number(), wire.number()) == (0, 0), "data"


def files(wire):
    """The files of a query that are this server's, one after the other."""
    while True:
        wire.send(SERVER_TASK)
        wire.stream.flush()
        packet = wire.number()
        if packet == CLIENT_CANCEL:
            return
        assert packet == CLIENT_TASK and wire.number() == 1, "a task"
        path = wire.text()
        if not path:
            return
        yield path


def of_file(sql, path):
    """The query, of this file alone."""
    sql, tables = re.subn(r"s3Cluster\('[^']*', ", "s3(", sql)
    name = "service=" + path.partition("service=")[2]
    sql, names = re.subn(r"filename = '[^']*'", f"filename = '{name}'", sql)
    assert (tables, names) == (1, 1), sql
    return sql


class Engine:
    """The engine, which answers all queries of a connection to it in the same way."""

    def __init__(self, path):
        self.path, self.lock, self.arguments, self.session = path, threading.Lock(), None, None

    def blocks(self, sql, arguments):
        with self.lock:
            if self.arguments != arguments:
                self.close()
                self.session, self.arguments = chdb.connect(f"{self.path}?{arguments}"), arguments
            # Each part of the answer is a block.
            return [chunk.bytes() for chunk in self.session.send_query(sql, "Native")]

    def log(self, path):
        """Notes which file it was given."""
        with self.lock, open(f"{self.path}.files", "a") as files:
            print(path, file=files)

    def close(self):
        if self.session:
            self.session.close()


def serve(connection, engine):
    wire = Wire(connection)
    while True:
        try:
            packet = wire.number()
        except EOFError:
            return
        if packet == CLIENT_HELLO:
            wire.text(), wire.number(), wire.number(), wire.number()
            wire.text(), wire.text(), wire.text()
            wire.send(SERVER_HELLO, "chdb", 25, 5, REVISION, "UTC", "shard", 0)
        elif packet == CLIENT_PING:
            wire.send(SERVER_PONG)
        elif packet == CLIENT_TABLES:
            tables = [(wire.text(), wire.text()) for _ in range(wire.number())]
            wire.send(SERVER_TABLES, len(tables))
            for database, name in tables:
                wire.send(database, name, b"\x00")
        elif packet == CLIENT_QUERY:
            stage, sql = query(wire)
            rest_of_query(wire)
            try:
                arguments = f"stage={STAGES[stage]}"
                if "s3Cluster(" in sql:
                    # The engine would ask for its files itself, and has nobody to ask, if it knew for whom it is.
                    for path in files(wire):
                        engine.log(path)
                        for block in engine.blocks(of_file(sql, path), arguments):
                            wire.send(SERVER_DATA, "", BLOCK_INFO, block)
                else:
                    for block in engine.blocks(sql, f"{arguments}&query_kind=secondary_query"):
                        wire.send(SERVER_DATA, "", BLOCK_INFO, block)
                wire.send(SERVER_END)
            except Exception as error:
                wire.send(SERVER_EXCEPTION, b"\x01\x00\x00\x00", "chdb", f"{error}: {sql}", "", b"\x00")
        elif packet != CLIENT_CANCEL:
            raise AssertionError(f"packet {packet}")
        wire.stream.flush()


def main():
    told = json.loads(sys.argv[1])
    os.chdir(told["directory"])
    path = told["path"]
    loading = chdb.connect(path)
    for statement in told["statements"]:
        loading.query(statement)
    loading.close()
    engine = Engine(path)
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)

    def accept():
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, engine), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    # Without the engine's own end, which can wait for ever.
    os._exit(0)


main()
