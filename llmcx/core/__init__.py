"""The shared cost module: parts -> ops -> folds, as pure functions on plain numbers.

A map, from the ground up; each module says in its first line what it is for.

- ground: errors, record, later, search, plugins
- what a model is made of: norm, ffn, cores, extras, mixers, parts; variants (attentions by name)
- from parts to ops: place, pairs, ops, lower; work and closed (many runs of one model at the price of a polynomial)
- folds over ops: params, flop_counter, cached, kept, traffic
- flops: flops, growth, leading
- bytes of a number: dtypes, quant, gguf, optimizers
- memory: method, sharding, stages, shares, training, lora, runtimes, memory, fit
- attention-compare: candidate, crossings, advice, compare
- moe: routing, routers, expert_parallel, moe
- chinchilla: laws, scaling, fine_grained, accounting, standing, architecture, fitting
- bounds, shapes
- train, serve: hardware, roofline, layout, train, plan, serve
- compare: contrast
"""
