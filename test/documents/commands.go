package documents

import "strings"

// Commands gives the command lines of a plain block: the lines that begin with "$ " where the first does, else all.
// Lines that a backslash continues are joined; comments behind two spaces and a "#" are left out.
func Commands(text string) []string {
	transcript := strings.HasPrefix(text, "$ ")
	var all []string
	joined := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		command, isCommand := strings.CutPrefix(line, "$ ")
		if transcript && !isCommand && joined == "" {
			continue
		}
		command, _, _ = strings.Cut(command, "  #")
		joined += strings.TrimSpace(command)
		if rest, goesOn := strings.CutSuffix(joined, `\`); goesOn {
			joined = rest
			continue
		}
		if joined != "" && !strings.HasPrefix(joined, "#") {
			all = append(all, joined)
		}
		joined = ""
	}
	return all
}
