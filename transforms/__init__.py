"""One module a step of the flow: pure functions over tables first, the Beam transform that wires them last."""
