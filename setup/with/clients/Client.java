import java.io.*;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.*;

/** What the JDBC driver says of a server, in each of its query modes. */
public class Client {
	static void told(String what, Object value) { System.out.println(what + " = " + value); }

	static void rows(String what, ResultSet rs) throws SQLException {
		var meta = rs.getMetaData();
		var b = new StringBuilder();
		for (int i = 1; i <= meta.getColumnCount(); i++)
			b.append(meta.getColumnName(i)).append(' ').append(meta.getColumnTypeName(i)).append(' ').append(meta.getTableName(i)).append(';');
		int n = 0;
		while (rs.next()) {
			if (n++ < 20) { b.append("\n "); for (int i = 1; i <= meta.getColumnCount(); i++) b.append(' ').append(rs.getObject(i) instanceof byte[] bytes ? Arrays.toString(bytes) : rs.getString(i)); }
		}
		told(what, b + "\n  " + n + " rows");
		rs.close();
	}

	interface Try { void run() throws Exception; }

	static void failing(String what, Connection c, Try t) throws Exception {
		try { t.run(); told(what, "passes"); } catch (BatchUpdateException e) {
			told(what, Arrays.toString(e.getUpdateCounts()) + " " + e.getSQLState() + " " + e.getNextException());
		} catch (SQLException e) { told(what, e.getSQLState() + " " + e.getMessage()); }
		if (!c.getAutoCommit()) c.rollback();
	}

	public static void main(String[] args) throws Exception {
		for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
			told("mode", mode);
			var p = new Properties();
			p.setProperty("preferQueryMode", mode);
			p.setProperty("prepareThreshold", "2");
			p.setProperty("user", System.getenv("PGUSER"));
			p.setProperty("password", System.getenv("PGPASSWORD"));
			p.setProperty("sslmode", System.getenv("PGSSLMODE"));
			var c = DriverManager.getConnection("jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p);
			run(c, mode);
		}
	}

	static void run(Connection c, String mode) throws Exception {
		var s = c.createStatement();
		s.execute("drop table if exists client_java; create table client_java (id serial primary key, t text, n numeric(10,2), at timestamp, b bytea, a int[], u uuid)");
		var in = c.prepareStatement("insert into client_java (t, n, at, b, a, u) values (?, ?, ?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS);
		for (int i = 0; i < 300; i++) {
			in.setString(1, "t" + i); in.setBigDecimal(2, new java.math.BigDecimal(i)); in.setTimestamp(3, Timestamp.valueOf("2014-09-22 01:02:03"));
			if (mode.equals("simple")) in.setNull(4, Types.BINARY); else in.setBytes(4, new byte[] {0, (byte) i}); // it has no bytes in simple mode
			 in.setArray(5, c.createArrayOf("int4", new Integer[] {i, i + 1})); in.setObject(6, new UUID(i, i));
			in.addBatch();
		}
		told("a batch", in.executeBatch().length);
		rows("generated keys", in.getGeneratedKeys());
		c.setAutoCommit(false);
		var q = c.prepareStatement("select * from client_java where id <= ? order by id");
		for (int i = 1; i < 6; i++) { q.setInt(1, i); rows("prepared " + i, q.executeQuery()); }
		if (!mode.equals("simple")) told("parameters", q.getParameterMetaData().getParameterTypeName(1));
		q.setFetchSize(7); q.setInt(1, 1000);
		rows("fetched by sevens", q.executeQuery());
		q.setMaxRows(5);
		rows("five at most", q.executeQuery());
		c.commit();
		var moving = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE).executeQuery("select id, t from client_java order by id");
		moving.absolute(5); moving.updateString(2, "updated"); moving.updateRow(); moving.last();
		told("scrolled", moving.getRow());
		moving.close();
		if (!mode.equals("simple")) rows("a call", call(c.prepareCall("{? = call upper('x')}"), s));
		failing("a wrong word", c, () -> s.execute("selec"));
		failing("a violation", c, () -> s.execute("insert into client_java (id) values (1)"));
		failing("a batch that fails", c, () -> {
			var b = c.prepareStatement("insert into client_java (id) values (?)");
			for (int i : new int[] {9001, 1, 9002}) { b.setInt(1, i); b.addBatch(); }
			b.executeBatch();
		});
		var point = c.setSavepoint("a");
		s.executeUpdate("delete from client_java");
		c.rollback(point);
		c.commit();
		failing("code", c, () -> s.execute("do $$ begin raise warning 'hear'; end $$"));
		told("warnings", s.getWarnings());
		var pg = c.unwrap(PGConnection.class);
		s.execute("listen heard; notify heard, 'a word'");
		c.commit();
		s.execute("select 1");
		for (var n : Optional.ofNullable(pg.getNotifications()).orElse(new org.postgresql.PGNotification[0])) told("notified", n.getName() + " " + n.getParameter() + " " + (n.getPID() == pg.getBackendPID()));
		var copy = new CopyManager(c.unwrap(org.postgresql.core.BaseConnection.class));
		told("copied in", copy.copyIn("copy client_java (id, t) from stdin (format csv)", new StringReader("7001,x\n7002,y\n")));
		var out = new ByteArrayOutputStream();
		copy.copyOut("copy (select id, t from client_java where id > 7000 order by 1) to stdout", out);
		told("copied out", out);
		failing("a copy that fails", c, () -> copy.copyIn("copy client_java (id) from stdin", new StringReader("x\n")));
		var large = pg.getLargeObjectAPI();
		long oid = large.createLO();
		var lo = large.open(oid, LargeObjectManager.READWRITE);
		lo.write("a large object".getBytes(StandardCharsets.UTF_8)); lo.seek(2);
		told("a large object", new String(lo.read(5), StandardCharsets.UTF_8) + " " + lo.size());
		lo.close();
		c.rollback();
		var meta = c.getMetaData();
		told("server", meta.getDatabaseProductVersion());
		rows("tables", meta.getTables(null, "public", "client_java%", null));
		rows("columns", meta.getColumns(null, "public", "client_java", null));
		rows("primary keys", meta.getPrimaryKeys(null, "public", "client_java"));
		rows("indexes", meta.getIndexInfo(null, "public", "client_java", false, false));
		rows("privileges", meta.getTablePrivileges(null, "public", "client_java"));
		rows("types", meta.getTypeInfo());
		rows("schemas", meta.getSchemas());
		told("keywords", meta.getSQLKeywords().length());
		c.commit();
		s.setQueryTimeout(1);
		failing("a time-out", c, () -> s.execute("select pg_sleep(60)"));
		told("valid", c.isValid(5));
		try (var other = DriverManager.getConnection("jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE") + "?sslmode=" + System.getenv("PGSSLMODE"), System.getenv("PGUSER"), System.getenv("PGPASSWORD"))) {
			failing("ended", other, () -> rows("terminate", other.createStatement().executeQuery("select pg_terminate_backend(" + pg.getBackendPID() + ")")));
		}
		Thread.sleep(500);
		told("valid", c.isValid(5));
	}

	static ResultSet call(CallableStatement cs, Statement s) throws SQLException {
		cs.registerOutParameter(1, Types.VARCHAR);
		cs.execute();
		return s.executeQuery("select '" + cs.getString(1) + "' as called");
	}
}
