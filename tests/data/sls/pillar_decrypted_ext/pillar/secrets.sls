one: |
  -----BEGIN PGP MESSAGE-----

  hF4DIFADFaASWysSAQdAEmYafVa1mjGrH2dtzLALdgnoKzNrEEHU+jCJjI2+vm0w
  3ml7xEnKvD/3Zs3zyGU3JCSb/BJXLjfsWSqqShogDfeQMc9We/JtahiLKka1nuSo
  0kYB5JogP9WIoj1Qx6IwBw2XKk0HRBCVb/EbukrZKl3mPHvUqabE6IwgMKHkDEds
  jflKpNizQaWe+SdXluQTLWx01qBZ32p2
  =FZZV
  -----END PGP MESSAGE-----
four: 
  - plain

