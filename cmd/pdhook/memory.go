package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// heapShare is the part of a container's memory that Go may use. The rest is for what is not its own: pages of
// the store's files that are not written back yet, stacks of the kernel, the program itself.
const heapShare = 0.75

// garbage is how much may lie about before it is collected, in per cent of what is in use. Most of that is the
// store's tables, which no collection makes smaller: Go's default of 100 would keep twice their size.
const garbage = 50

// fitMemory keeps the heap small, and within the memory of the container: left to itself it grows to twice what
// is in use before it is collected, and a burst of events ends with the kernel killing pdhook. GOGC and
// GOMEMLIMIT override it.
func fitMemory(log *slog.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(heapShare))
	if err != nil {
		log.Debug("The memory of the container is not known; GOMEMLIMIT bounds the heap", "error", err)
		return
	}
	log.Debug("The heap is bounded", "bytes", limit)
}
