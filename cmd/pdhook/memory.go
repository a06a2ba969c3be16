package main

import (
	"os"
	"runtime/debug"
)

// garbage is how much may lie about before it is collected, in per cent of what is in use. Most of that is the
// store's tables, which no collection makes smaller: Go's default of 100 would keep twice their size.
const garbage = 50

// saveMemory sets it, unless the operator chose otherwise by GOGC.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}
