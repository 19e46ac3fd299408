package policy

import "strings"

// Glob reports whether s matches pattern, in which '*' stands for any run of characters and '?' for any
// one. It runs in O(len(pattern)·len(s)) at worst, without recursion.
func Glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// MatchAction reports whether action matches pattern, ignoring case as AWS does.
func MatchAction(pattern, action string) bool {
	return Glob(strings.ToLower(pattern), strings.ToLower(action))
}

// matchARN compares six components separately, each with wildcards, as ArnLike and ArnEquals do.
func matchARN(pattern, arn string) bool {
	a, b := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(a) != 6 || len(b) != 6 {
		return false
	}
	for i := range a {
		if !Glob(a[i], b[i]) {
			return false
		}
	}
	return true
}

// covers reports whether the statement's Action or NotAction covers action.
func (s Statement) covers(action string) bool {
	if s.NotActions != nil {
		for _, pattern := range s.NotActions {
			if MatchAction(pattern, action) {
				return false
			}
		}
		return true
	}
	for _, pattern := range s.Actions {
		if MatchAction(pattern, action) {
			return true
		}
	}
	return false
}
