package survey_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sekisho/demo"
	"sekisho/survey"
)

// cluster is a real PostgreSQL for the package: the demo's store, and
// databases whose names mislead.
var (
	cluster   *demo.Cluster
	passwords string // the directory of its password files
)

const (
	members = 3000
	seed    = 20140924
)

func TestMain(m *testing.M) {
	code, err := func() (int, error) {
		dir, err := os.MkdirTemp("", "survey")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir)
		os.Chmod(dir, 0o711) // the server may run as another user
		ctx := context.Background()
		cluster, err = demo.StartCluster(ctx, demo.ClusterConfig{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{
			"fsync": "off", "shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all",
		}})
		if err != nil {
			return 1, err
		}
		defer cluster.Stop()
		passwords = filepath.Join(dir, "postgres", "passwords")
		if err := demo.Fill(ctx, cluster, demo.FillConfig{Members: members, Seed: seed}); err != nil {
			return 1, err
		}
		for _, name := range []string{"shop", "hotel"} {
			script, err := os.ReadFile("testdata/" + name + ".sql")
			if err != nil {
				return 1, err
			}
			if _, err := cluster.SQL(ctx, "postgres", "create database "+name); err != nil {
				return 1, err
			}
			if _, err := cluster.SQL(ctx, name, string(script)); err != nil {
				return 1, err
			}
		}
		return m.Run(), nil
	}()
	if errors.Is(err, demo.ErrNoPostgreSQL) {
		fmt.Fprintln(os.Stderr, "skipped:", err)
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting PostgreSQL for the tests:", err)
	}
	os.Exit(code)
}

// connect looks as a role of the cluster; as its owner if none is named.
func connect(t *testing.T, role, database string) *survey.Database {
	t.Helper()
	if role == "" {
		role = cluster.Superuser()
	}
	dsn, err := cluster.Conninfo(role, database)
	if err != nil {
		t.Fatal(err)
	}
	d, err := survey.Connect(t.Context(), dsn, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func propose(t *testing.T, database string) *survey.Plan {
	t.Helper()
	s, err := survey.Look(t.Context(), connect(t, "", database).Query, survey.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Propose()
}
