package report

import (
	"maps"
	"slices"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// ocsfSeverity is severity_id and its caption. What does not fail is informational; the rule's severity is in unmapped.
// Extreme and very-high are both critical: OCSF's sixth, fatal, is for outages.
func ocsfSeverity(one *posture.Result) (int, string) {
	if one.Status == posture.Pass || one.Status == posture.NotApplicable {
		return 1, "Informational"
	}
	switch one.Severity {
	case posture.Extreme, posture.VeryHigh:
		return 5, "Critical"
	case posture.High:
		return 4, "High"
	case posture.Medium:
		return 3, "Medium"
	case posture.Low:
		return 2, "Low"
	default:
		return 0, "Unknown"
	}
}

// ocsfStatus is status_id and its caption: where the finding is in its life.
func ocsfStatus(one *posture.Result) (int, string) {
	switch one.Status {
	case posture.Fail:
		return 1, "New"
	case posture.Muted, posture.Superseded:
		return 3, "Suppressed"
	case posture.Pass, posture.NotApplicable:
		return 4, "Resolved"
	default:
		return 0, "Unknown"
	}
}

// ocsfVerdict is compliance.status_id and its caption.
func ocsfVerdict(s posture.Status) (int, string) {
	switch s {
	case posture.Pass:
		return 1, "Pass"
	case posture.Fail, posture.Muted, posture.Superseded:
		return 3, "Fail"
	case posture.NotApplicable:
		return 99, "Not Applicable"
	default:
		return 0, "Unknown"
	}
}

// ocsfActivity is activity_id and its caption.
func ocsfActivity(change string) (int, string) {
	switch change {
	case "", "new":
		return 1, "Create"
	case "fixed":
		return 3, "Close"
	default:
		return 2, "Update"
	}
}

func ocsfTags(tags map[string]string) []ocsfPair {
	list := make([]ocsfPair, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ocsfPair{ansi.Visible(key), ansi.Visible(tags[key])})
	}
	return list
}
