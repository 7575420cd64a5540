# What programs do with psycopg 2 and 3: each answer as one line. Run directly and
# through the gate, it prints the same.
import asyncio, io, sys
import psycopg, psycopg2, psycopg2.errors, psycopg2.extras
from psycopg.rows import dict_row

dsn = sys.stdin.readline().strip()


def told(what, value):
    print(what + ":", value)


def two():
    conn = psycopg2.connect(dsn)
    told("encoding", conn.encoding)
    with conn, conn.cursor() as cur:
        cur.execute("select name, joined, null from crm.member where member_no = %s", (1001,))
        told("parameters in the text", (cur.fetchall(), cur.description[1].name, cur.rowcount))
        psycopg2.extras.execute_values(cur, "select v.n, m.name from (values %s) v(n) join crm.member m on m.member_no = v.n order by 1", [(1002,), (1003,)])
        told("a list of values", cur.fetchall())
        cur.execute("select city, count(*) from crm.member where member_no < 1005 group by city")
        told("grouped", sorted(cur.fetchall()))
    with conn, conn.cursor("at_the_server") as cur:
        cur.itersize = 2
        cur.execute("select member_no, email from crm.member where member_no between 1006 and 1010 order by 1")
        told("a cursor at the server", [row for row in cur])
    with conn, conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
        cur.execute("update crm.member set city = 'Kobe' where member_no = any(%s) returning member_no, city", ([1011, 1012],))
        told("a write", sorted(map(dict, cur.fetchall()), key=str))
    conn.rollback()
    with conn.cursor() as cur:
        out = io.StringIO()
        cur.copy_expert("copy (select member_no, name from crm.member where member_no < 1003 order by 1) to stdout (format csv, header)", out)
        told("copied out", out.getvalue())
        cur.copy_expert("copy crm.member (member_no, name) from stdin", io.StringIO("9001\tnew one\n9002\tnew two\n"))
        told("copied in", cur.rowcount)
    conn.commit()
    with conn.cursor() as cur:
        try:
            cur.execute("insert into crm.member (member_no) values (1001)")
        except psycopg2.errors.UniqueViolation as e:
            told("an error", (e.pgcode, conn.get_transaction_status()))
        conn.rollback()
        cur.execute("savepoint a")
        cur.execute("select name from crm.airport where code = 'HND'")
        told("nobody's", cur.fetchone())
    conn.rollback()
    conn.autocommit = True
    with conn.cursor() as cur:
        cur.execute("listen news; notify news, 'a word'")
        conn.poll()
        told("heard of", [n.channel for n in conn.notifies])
    conn.close()


def three():
    with psycopg.connect(dsn, prepare_threshold=1, row_factory=dict_row) as conn:
        for n in (1001, 1002, 1003):
            told("prepared", conn.execute("select name, joined from crm.member where member_no = %s", (n,)).fetchone())
        with conn.cursor(binary=True) as cur:
            told("binary", cur.execute("select member_no, joined, array[name] as list from crm.member where member_no = %b", (1004,)).fetchall())
        with conn.pipeline(), conn.cursor() as one, conn.cursor() as other:
            one.execute("select email from crm.member where member_no = %s", (1005,))
            other.execute("select count(*) as n from crm.member where member_no <= %s", (1006,))
            told("in a pipeline", (one.fetchone(), other.fetchone()))
        with conn.cursor() as cur:
            cur.executemany("update crm.member set city = %s where member_no = %s returning member_no", [("Nara", 1013), ("Otsu", 1014)], returning=True)
            every = []
            while True:
                every += cur.fetchall()
                if not cur.nextset():
                    break
            told("many at once", every)
            with cur.copy("copy (select member_no, name, joined from crm.member where member_no < 1003 order by 1) to stdout (format binary)") as copy:
                copy.set_types(["int8", "text", "date"])
                told("copied out in binary", list(copy.rows()))
            with cur.copy("copy crm.member (member_no, name) from stdin (format binary)") as copy:
                copy.set_types(["int8", "text"])
                copy.write_row((9003, "third"))
        with conn.cursor("at_the_server") as cur:
            told("a cursor at the server", cur.execute("select email from crm.member where member_no in (1015, 1016) order by 1").fetchall())
        with conn.transaction():
            try:
                with conn.transaction():
                    conn.execute("insert into crm.member (member_no) values (1001)")
            except psycopg.errors.UniqueViolation as e:
                told("an error", e.sqlstate)
            told("after it", conn.execute("select name from crm.member where member_no = 1017").fetchone())


async def three_at_once():
    async def one(n):
        async with await psycopg.AsyncConnection.connect(dsn) as conn:
            return await (await conn.execute("select name from crm.member where member_no = %s", (n,))).fetchone()

    told("at once", await asyncio.gather(*(one(1020 + n) for n in range(4))))


two()
three()
asyncio.run(three_at_once())
