package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"sekisho/catalog"
	"sekisho/demo"
)

func demoCatalog(t testing.TB) (c catalog.Config) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(demo.CatalogYAML), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhole(t *testing.T) {
	dir := os.Getenv("DRILL_DIR")
	if dir == "" {
		t.Skip()
	}
	members, _ := strconv.Atoi(os.Getenv("DRILL_MEMBERS"))
	cl, err := demo.StartCluster(t.Context(), demo.ClusterConfig{Dir: filepath.Join(dir, "pg"+os.Getenv("DRILL_MEMBERS"))})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Stop()
	at := time.Now()
	if err := demo.Fill(t.Context(), cl, demo.FillConfig{Members: members, Seed: 20140924}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("filled", time.Since(at))
	at = time.Now()
	step := ""
	seed := uint64(DefaultSeed)
	if s := os.Getenv("DRILL_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	p, err := Play(context.Background(), Config{
		Scenario: Jal2014, Cluster: cl, Seed: seed, StoreSeed: 20140924, Members: members, Catalog: demoCatalog(t),
		Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Progress: func(s string, done, total int) {
			if s != step {
				step = s
				fmt.Println(s, time.Since(at))
			}
		},
	})
	fmt.Println("played", time.Since(at))
	if p != nil {
		p.Report.Answer.Numbers.WorstCase.Evidence.Some, p.Report.Answer.Observed = nil, nil
		b, _ := json.MarshalIndent(p.Report, "", " ")
		os.WriteFile(filepath.Join(dir, "report.json"), b, 0o600)
		p.Report.Text(os.Stdout)
		p.Close()
	}
	fmt.Println("closed", time.Since(at))
	if err != nil {
		t.Fatal(err)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
