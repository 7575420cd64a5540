package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sekisho/gate"
)

func verifierCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verifier",
		Short: "Turn a password, typed or on standard input, into a verifier for the config",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
