package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sekisho/gate"
)

func verifierCommand() *cobra.Command {
	var fromPostgres bool
	var role string
	cmd := &cobra.Command{
		Use:   "verifier",
		Short: "Turn a password, typed or on standard input, into a verifier for the config",
		Long: `Turn a password into a verifier for gate.principals in the config.

With --from-postgres, passwords that people have in PostgreSQL go on counting:
standard input has a verifier (pg_authid.rolpassword), or a name and a verifier,
on each line, as this prints them:

  psql -XAt -c "select rolname, rolpassword from pg_authid where rolcanlogin"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if fromPostgres {
				return importVerifiers(cmd.InOrStdin(), cmd.OutOrStdout(), role)
			}
			password, err := readPassword()
			if err != nil {
				return err
			}
			v, err := gate.MakeVerifier(password)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), v)
			return nil
		},
	}
	cmd.Flags().BoolVar(&fromPostgres, "from-postgres", false, "take verifiers of PostgreSQL from standard input, and check them")
	cmd.Flags().StringVar(&role, "role", "ROLE", "the role in the config for those with a name")
	return cmd
}

// importVerifiers prints what PostgreSQL keeps of passwords as entries of
// gate.principals, or as it is where no name stands before it. Errors name the
// line and never repeat it.
func importVerifiers(in io.Reader, out io.Writer, role string) error {
	lines := bufio.NewScanner(io.LimitReader(in, 16<<20))
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		// The last bar: a role's name may hold one, a verifier cannot.
		at := strings.LastIndexByte(line, '|')
		name, verifier := line[:max(at, 0)], line[at+1:]
		if _, err := gate.ParseVerifier(verifier); err != nil {
			if strings.HasPrefix(verifier, "md5") {
				err = errors.New("an MD5 hash, which the gate does not take: set password_encryption = 'scram-sha-256' in PostgreSQL, and have the password set again")
			}
			return fmt.Errorf("line %d: %w", n, err)
		}
		if at < 0 {
			fmt.Fprintln(out, verifier)
			continue
		}
		quoted, err := json.Marshal(name) // which is YAML, too
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "- name: %s\n  role: %s\n  verifier: %s\n", quoted, role, verifier)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	if n == 0 {
		return errors.New("standard input has no line: see `sekisho verifier --help`")
	}
	return nil
}

// readPassword never takes one from the arguments: everybody on the machine
// can read those.
func readPassword() (string, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		fmt.Fprint(os.Stderr, "password: ")
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(os.Stderr)
		if err == nil && len(b) == 0 {
			err = errors.New("an empty password is none")
		}
		return string(b), err
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", fmt.Errorf("reading the password from standard input: it is empty (%v)", err)
	}
	return line, nil
}
