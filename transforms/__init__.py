"""One module a step of the flow: pure functions over tables; stages.py alone wires them."""
