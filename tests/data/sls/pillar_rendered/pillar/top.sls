base:
  '*':
    - {{ grains['os'] | lower }}
    - py
    - js
