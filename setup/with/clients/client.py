# What psycopg 2 and 3 (argv[1]) say of a server; where it is stands in libpq's
# environment. Nothing that it prints depends on which of two like servers it is.
import io
import select
import sys
import threading


def told(what, value):
    print(what, "=", value)


def failing(driver, what, ask):
    try:
        told(what, ask())
        return True
    except driver.Error as e:
        told(what, (e.diag.sqlstate, e.diag.message_primary))
        return False


def both(driver, connect):
    conn = connect()
    conn.autocommit = True
    pid, heard = conn.info.backend_pid, []
    if hasattr(conn, "add_notify_handler"):
        conn.add_notify_handler(lambda n: heard.append((n.channel, n.payload, n.pid == pid)))
    cur = conn.cursor()
    cur.execute("drop table if exists client_py")
    cur.execute("create table client_py (id int primary key, t text, n numeric, j jsonb, a int[], d date, b bytea)")
    conn.autocommit = False
    for i in range(200):
        cur.execute("insert into client_py values (%s, %s, %s, %s, %s, current_date, %s)", (i, f"t{i}", i / 8, '{"a": 1}', [i, i + 1], b"\x00\x01"))
    conn.commit()
    cur.execute("select id, t, n, j, a, b is not null from client_py where id between %s and %s order by id", (10, 13))
    told("rows", cur.fetchall())
    told("columns", [(c[0], c[1]) for c in cur.description])
    named = conn.cursor("held")
    named.itersize = 7
    named.execute("select id from client_py order by id")
    told("a cursor at the server", sum(r[0] for r in named))
    named.close()
    for bad in ("select 1/0", "selec", "insert into client_py (id) values (1)", "select * from gone"):
        try:
            cur.execute(bad)
        except driver.Error as e:
            told(bad, (type(e).__name__, e.diag.sqlstate, e.diag.message_primary, e.diag.message_detail, e.diag.statement_position, e.diag.constraint_name))
        conn.rollback()
    cur.execute("savepoint a")
    cur.execute("delete from client_py")
    told("gone", cur.rowcount)
    cur.execute("rollback to a")
    conn.commit()
    conn.autocommit = True
    notices = []
    if not hasattr(conn, "notices"):
        conn.add_notice_handler(lambda d: notices.append((d.severity, d.message_primary)))
    failing(driver, "code", lambda: (cur.execute("do $$ begin raise notice 'hear'; end $$"), "passes")[1])
    cur.execute("drop table if exists not_there")
    told("notices", list(getattr(conn, "notices", notices)))
    cur.execute("select pg_backend_pid()")
    told("the process is the one that the server says", cur.fetchone()[0] == pid)
    failing(driver, "and works here", lambda: (cur.execute("select count(*) from pg_stat_activity where pid = %s", (pid,)), cur.fetchone())[1])
    told("parameters", [(k, conn.info.parameter_status(k)) for k in ("server_version", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes", "is_superuser", "standard_conforming_strings")])
    told("protocol", (conn.info.status, conn.info.transaction_status))
    canceled = threading.Timer(1, conn.cancel)
    canceled.start()
    try:
        cur.execute("select pg_sleep(60)")
    except driver.Error as e:
        told("cancelled", e.diag.sqlstate)
    canceled.join()
    cur.execute("listen heard")
    cur.execute("notify heard, 'a word'")
    return conn, cur, pid, heard


def end_of(connect, driver, conn, pid):
    other = connect()
    other.autocommit = True
    cur = other.cursor()
    if not failing(driver, "ended", lambda: (cur.execute("select pg_terminate_backend(%s)", (pid,)), cur.fetchone())[1]):
        return
    try:
        conn.cursor().execute("select pg_sleep(10)")
    except driver.Error as e:
        told("and it is", type(e).__name__)
    other.close()


if sys.argv[1] == "2":
    import psycopg2

    conn, cur, pid, _ = both(psycopg2, lambda: psycopg2.connect(""))
    select.select([conn], [], [], 5)
    conn.poll()
    told("notifications", [(n.channel, n.payload, n.pid == pid) for n in conn.notifies])
    out = io.StringIO()
    cur.copy_expert("copy (select id, t, n, a from client_py where id < 5 order by id) to stdout (format csv, header)", out)
    told("copied out", out.getvalue())
    cur.copy_expert("copy client_py (id, t) from stdin", io.StringIO("1001\tx\n1002\ty\n"))
    told("copied in", cur.rowcount)
    conn.autocommit = False
    lo = conn.lobject(0, "wb")
    lo.write(b"a large object " * 1000)
    lo.seek(2)
    told("a large object", (lo.tell(), conn.lobject(lo.oid, "rb").read()[:20]))
    conn.rollback()
    conn.tpc_begin(conn.xid(1, "client", "py"))
    cur.execute("update client_py set t = 'two phases' where id = 1")
    conn.tpc_prepare()
    conn.tpc_commit()
    cur.execute("select t from client_py where id = 1")
    told("two phases", cur.fetchone())
    conn.rollback()
    end_of(lambda: psycopg2.connect(""), psycopg2, conn, pid)
else:
    import asyncio

    import psycopg

    conn, cur, pid, heard = both(psycopg, lambda: psycopg.connect(""))
    told("notified", heard)
    told("libpq", (conn.pgconn.protocol_version, conn.pgconn.ssl_in_use, conn.pgconn.user, conn.pgconn.db))
    with conn.pipeline():
        several = [conn.execute("select t from client_py where id = %s", (i,)) for i in range(5)]
        told("in a pipeline", [c.fetchone() for c in several])
    for i in range(8):
        cur.execute("select n, d = current_date from client_py where id = %s", (i,), prepare=True)
    told("prepared", cur.fetchone())
    with conn.cursor(binary=True) as binary:
        told("binary", binary.execute("select id, t, n, a, b, d = current_date from client_py where id < 4 order by 1").fetchall())
    cur.executemany("insert into client_py (id, t) values (%s, %s) returning id", [(i, "m") for i in range(2000, 2005)], returning=True)
    told("many", [cur.fetchone() for _ in range(1)] + [cur.nextset()])
    with cur.copy("copy (select id, t, a from client_py where id < 5 order by id) to stdout (format binary)") as copy:
        told("copied out", b"".join(copy))
    with cur.copy("copy client_py (id, t) from stdin") as copy:
        for i in range(3000, 3500):
            copy.write_row((i, "copied"))
    told("copied in", cur.rowcount)
    try:
        with cur.copy("copy client_py (id, t) from stdin") as copy:
            copy.write(b"3501\tx\n")
            raise ValueError("the program gives up")
    except (ValueError, psycopg.Error) as e:
        told("given up", type(e).__name__)
    try:
        with conn.transaction():
            with conn.transaction():
                cur.execute("insert into client_py (id) values (1)")
    except psycopg.errors.UniqueViolation as e:
        told("a violation", e.diag.constraint_name)

    async def at_once():
        async def one(i):
            async with await psycopg.AsyncConnection.connect("") as c:
                return await (await c.execute("select %s::int + 1", (i,))).fetchone()

        told("at once", await asyncio.gather(*(one(i) for i in range(8))))

    asyncio.run(at_once())
    end_of(lambda: psycopg.connect(""), psycopg, conn, pid)
