package trace_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/demo"
)

// BenchmarkImpactBesidePostgreSQL asks the index and a real PostgreSQL, in
// turn, how many distinct customers 23 endpoints read in 36 days, by category:
// ten million accessed records, in PostgreSQL as one row each with a covering
// index. The table is cached and vacuumed; PostgreSQL may use both cores. Its
// question is the lesser one: no roster, no suspected, no evidence.
func BenchmarkImpactBesidePostgreSQL(b *testing.B) {
	const members, asked = 1_000_000, 23
	entries := office(members, asked, 200, 10_000_000)
	tr := fold(entries)
	q := question(asked)
	ctx := context.Background()
	dir := b.TempDir()
	os.Chmod(dir, 0o711)
	pg, err := demo.StartCluster(ctx, demo.ClusterConfig{Dir: filepath.Join(dir, "pg"), Settings: map[string]string{"shared_buffers": "2GB", "work_mem": "512MB", "max_wal_size": "4GB"}})
	if err != nil {
		b.Fatal(err)
	}
	defer pg.Stop()
	sql := func(text string) string {
		out, err := pg.SQL(ctx, "postgres", text)
		if err != nil {
			b.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	sql("create unlogged table access (endpoint int, day int, subject int, categories int)")
	dsn, err := pg.Conninfo(pg.Superuser(), "postgres")
	if err != nil {
		b.Fatal(err)
	}
	load := exec.Command("psql", "-Xqd", dsn, "-c", "copy access from stdin")
	in, err := load.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := load.Start(); err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(rowsOf(in, entries), in.Close(), load.Wait()); err != nil {
		b.Fatal(err)
	}
	sql("create index on access (endpoint, day) include (subject, categories); vacuum (analyze, freeze) access")
	var list []string
	for i := range asked {
		list = append(list, strconv.Itoa(i))
	}
	ask := fmt.Sprintf(`select count(*), count(*) filter (where c & %d <> 0) from
		(select subject, bit_or(categories) c from access where endpoint in (%s) and day >= 16000 and day < 16036 group by subject) s`, sekisho.Contact, strings.Join(list, ","))
	a, err := tr.Impact(q, nil)
	if err != nil {
		b.Fatal(err)
	}
	contact := uint64(0)
	for _, p := range a.Numbers.WorstCase.Breakdown {
		if p.Value == "contact" {
			contact = p.Count
		}
	}
	if got, want := sql(ask), fmt.Sprintf("%d|%d", a.WorstCase, contact); got != want {
		b.Fatalf("PostgreSQL answers %s, the index %s", got, want)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := tr.Impact(q, nil); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(began))
		if len(theirs) < 5 {
			began = time.Now()
			sql(ask)
			theirs = append(theirs, time.Since(began))
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	mine, other := ours[len(ours)/2], theirs[len(theirs)/2]
	b.ReportMetric(float64(mine.Microseconds())/1000, "index-ms")
	b.ReportMetric(float64(other.Microseconds())/1000, "postgresql-ms")
	b.ReportMetric(float64(other)/float64(mine), "times-faster")
}

// rowsOf writes what the asked endpoints' accesses are as rows.
func rowsOf(w io.Writer, entries []sekisho.Entry) error {
	out := bufio.NewWriterSize(w, 1<<20)
	shapes, sessions := map[uint64]*sekisho.Shape{}, map[uint64]string{}
	for _, e := range entries {
		switch body := e.Body.(type) {
		case *sekisho.Shape:
			shapes[e.ID.Seq] = body
		case *sekisho.SessionOpened:
			sessions[e.ID.Seq] = strings.TrimPrefix(body.Endpoint, "pc-")
		case *sekisho.Access:
			head := sessions[body.Session] + "\t" + strconv.FormatInt(int64(e.Time/day), 10) + "\t"
			tail := "\t" + strconv.FormatUint(uint64(shapes[body.Shape].Categories), 10) + "\n"
			for _, s := range body.Subjects {
				out.WriteString(head)
				out.WriteString(strconv.FormatUint(uint64(s), 10))
				out.WriteString(tail)
			}
		}
	}
	return out.Flush()
}
