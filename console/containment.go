package console

import "sekisho"

func isContainment(b sekisho.Body) bool {
	switch b.(type) {
	case *sekisho.ContainmentProposed, *sekisho.ContainmentDecided, *sekisho.ContainmentLifted, *sekisho.ContainmentReviewed, *sekisho.ContainmentProlonged:
		return true
	}
	return false
}
