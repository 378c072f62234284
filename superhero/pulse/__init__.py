"""The pulse: what each process says of itself about once a second, and what workers note of each batch.

Written to Redis, read by `superhero.ops.vitals`. Whoever cannot reach Redis goes on without: nothing waits
for a pulse, and nothing but what is shown depends on it.
"""
