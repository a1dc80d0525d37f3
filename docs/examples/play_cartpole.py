"""Play CartPole by an exported policy, without rlsuite: python play_cartpole.py policy.onnx

pip install gymnasium onnxruntime
"""

import sys

import gymnasium
import numpy as np
import onnxruntime

policy = onnxruntime.InferenceSession(sys.argv[1])
memories = [one for one in policy.get_inputs() if one.name != "observation"]
env = gymnasium.make("CartPole-v1")
for episode in range(10):
    observation, _ = env.reset(seed=episode)
    remembered = {one.name: np.zeros((1, *one.shape[1:]), np.float32) for one in memories}
    total, ended = 0.0, False
    while not ended:
        action, *following = policy.run(None, {"observation": observation[np.newaxis], **remembered})
        remembered = dict(zip(remembered, following, strict=True))
        observation, reward, terminated, truncated, _ = env.step(int(action[0]))
        total, ended = total + float(reward), terminated or truncated
    print(f"episode {episode}: {total:.0f}")
