package main

import (
	"log/slog"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// heapShare is the part of a container's memory that Go may use. The rest is for what is not its own: pages of
// the store's files that are not written back yet, stacks of the kernel, the program itself.
const heapShare = 0.75

// fitMemory keeps the heap within the memory of the container. Left to itself it grows to twice what is in use
// before it is collected, and a burst of events ends with the kernel killing pdhook. GOMEMLIMIT overrides it.
func fitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(heapShare))
	if err != nil {
		log.Debug("The memory of the container is not known; GOMEMLIMIT bounds the heap", "error", err)
		return
	}
	log.Debug("The heap is bounded", "bytes", limit)
}
