by_nodegroup: true
