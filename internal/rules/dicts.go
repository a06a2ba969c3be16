package rules

import "maps"

// newPair makes an entry of a dict.
func newPair(key, values any) (any, error) {
	k, err := text(key)
	if err != nil {
		return nil, err
	}
	v, err := textSet(values)
	return pair{k, v}, err
}

// newDict gives a dict of pairs; of two with the same key the last one holds.
func newDict(values ...any) (any, error) {
	pairs, err := all(values, paired)
	if err != nil {
		return nil, err
	}
	return with(constant(dict{}), pairs, func(_, added set) set { return added }), nil
}

// put gives the dict with another value of one key.
func put(d, key, values any) (any, error) {
	return entered(d, key, values, func(_, added set) set { return added })
}

// addValues gives the dict with some more strings in the set of one key.
func addValues(d, key any, values ...any) (any, error) {
	more, err := newSet(values...)
	if err != nil {
		return nil, err
	}
	return entered(d, key, more, func(old, added set) set {
		both := maps.Clone(added)
		maps.Copy(both, old)
		return both
	})
}

func entered(d, key, values any, merge func(old, added set) set) (any, error) {
	from, err := dictionary(d)
	if err != nil {
		return nil, err
	}
	entry, err := newPair(key, values)
	if err != nil {
		return nil, err
	}
	return with(from, []pair{entry.(pair)}, merge), nil
}

func with(from expr[dict], pairs []pair, merge func(old, added set) set) expr[dict] {
	return func(e *evaluation) (dict, error) {
		d, err := from(e)
		if err != nil {
			return nil, err
		}
		if err := e.spend(len(d)); err != nil {
			return nil, err
		}
		d = maps.Clone(d)
		for _, p := range pairs {
			key, err := p.key(e)
			if err != nil {
				return nil, err
			}
			added, err := p.value(e)
			if err != nil {
				return nil, err
			}
			if err := e.spend(len(key) + len(d[key]) + len(added)); err != nil {
				return nil, err
			}
			d[key] = merge(d[key], added)
		}
		return d, nil
	}
}

// lookup gives the set under a key; without such a key it is empty.
func lookup(_ *evaluation, d dict, key string) (set, error) { return d[key], nil }
