package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unverified is how the gate names whoever shows no certificate. No certificate
// may speak so.
const Unverified = "unverified@"

// maxName is the upper bound of a common name in characters: ub-common-name of
// RFC 5280, appendix A.1.
const maxName = 64

// CheckName says whether an endpoint may be called so. A name is read by people
// in the ledger, typed on command lines and compared byte by byte, so it has
// nothing that is not seen, and nothing that means something elsewhere. The
// errors never repeat the name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the endpoint's name is empty")
	case !utf8.ValidString(name):
		return errors.New("the endpoint's name is not UTF-8")
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("the endpoint's name has more than %d characters", maxName)
	case len(name) >= len(Unverified) && strings.EqualFold(name[:len(Unverified)], Unverified):
		return errors.New("the endpoint's name begins with " + Unverified + ", which is for those without a certificate")
	case strings.ContainsAny(name, "*"):
		return errors.New("the endpoint's name holds a *: one certificate names one endpoint")
	case strings.TrimSpace(name) != name:
		return errors.New("the endpoint's name begins or ends with a space")
	}
	for _, r := range name {
		// Neither control characters nor those that show nothing or turn the
		// direction of what follows (Unicode's Cc, Cf, Zl, Zp, Co, Cn).
		if !unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r) && r != ' ' {
			return errors.New("the endpoint's name holds a character that cannot be seen")
		}
	}
	return nil
}

// NameOf is the endpoint that a certificate names: its one common name. A
// certificate with several is refused, because programs differ in which of them
// they take.
func NameOf(cert *x509.Certificate) (string, error) {
	found := 0
	for _, n := range cert.Subject.Names {
		if n.Type.String() == "2.5.4.3" {
			found++
		}
	}
	if found > 1 {
		return "", errors.New("the certificate has several common names")
	}
	return cert.Subject.CommonName, CheckName(cert.Subject.CommonName)
}
