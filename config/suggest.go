package config

import (
	"fmt"
	"strings"
)

// renameOr advises to take the known name that somebody probably meant, else to remove what is unknown. It is
// the one that ends with the unknown name's last part, or the one that takes the fewest typing mistakes.
func renameOr(remove, unknown, last string, known []string) string {
	best, least := "", max(2, len(unknown)/5)+1
	for _, name := range known {
		distance := typos(strings.ToLower(unknown), strings.ToLower(name))
		if strings.HasSuffix(name, "."+last) || strings.HasSuffix(name, "_"+last) {
			distance = min(distance, 1)
		}
		if distance < least {
			best, least = name, distance
		}
	}
	if best == "" {
		return remove
	}
	return fmt.Sprintf("rename it to %q", best)
}

// typos counts the letters to insert, delete or replace to get from a to b (Levenshtein).
func typos(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func keyNames() []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
	}
	return names
}

func variables() []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.variable)
	}
	return names
}
